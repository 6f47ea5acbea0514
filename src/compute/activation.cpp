#include "compute/activation.hpp"

#include "base/vectorise.hpp"
#include "compute/finite_exp.hpp"

namespace tpbench {
namespace {

// Results may stand where an operand stood, entry on entry: "ivdep" says that this keeps no loop from being
// vectorised.

// 2 sqrt(2/pi)
template <typename T>
constexpr T kTwiceRootTwoOverPi = T(1.5957691216057307117597842397375L);

// gelu(x) = x s, s = sigmoid(u), u = 2 sqrt(2/pi) (x + 0.044715 x^3)
template <typename T>
[[gnu::always_inline]] inline T gelu_gate(T x) {
  return T(1) / (T(1) + finite_exp(-kTwiceRootTwoOverPi<T> * (x + T(0.044715) * x * x * x)));
}

template <typename T>
[[gnu::always_inline]] inline void gelu(const T* x, T* y, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) y[i] = x[i] * gelu_gate(x[i]);
}

template <typename T>
[[gnu::always_inline]] inline void swiglu(const T* gate, const T* up, T* y, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) y[i] = gate[i] / (T(1) + finite_exp(-gate[i])) * up[i];
}

// gelu'(x) = s + x s (1 - s) u'
template <typename T>
[[gnu::always_inline]] inline void gelu_backward(const T* x, const T* dy, T* dx, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) {
    const T v = x[i], s = gelu_gate(v);
    const T slope = kTwiceRootTwoOverPi<T> * (T(1) + T(3) * T(0.044715) * v * v);
    dx[i] = dy[i] * (s + v * s * (T(1) - s) * slope);
  }
}

// silu'(g) = s + g s (1 - s), s = sigmoid(g)
template <typename T>
[[gnu::always_inline]] inline void swiglu_backward(const T* gate, const T* up, const T* dy, T* dgate, T* dup,
                                                   std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) {
    const T g = gate[i], d = dy[i], u = up[i];
    const T s = T(1) / (T(1) + finite_exp(-g));
    dgate[i] = d * u * (s + g * s * (T(1) - s));
    dup[i] = d * g * s;
  }
}

}  // namespace

TPBENCH_VECTORISE void gelu_row(const float* x, float* y, std::int64_t count) { gelu(x, y, count); }
TPBENCH_VECTORISE void gelu_row(const double* x, double* y, std::int64_t count) { gelu(x, y, count); }
TPBENCH_VECTORISE void swiglu_row(const float* gate, const float* up, float* y, std::int64_t count) {
  swiglu(gate, up, y, count);
}
TPBENCH_VECTORISE void swiglu_row(const double* gate, const double* up, double* y, std::int64_t count) {
  swiglu(gate, up, y, count);
}
TPBENCH_VECTORISE void gelu_backward_row(const float* x, const float* dy, float* dx, std::int64_t count) {
  gelu_backward(x, dy, dx, count);
}
TPBENCH_VECTORISE void gelu_backward_row(const double* x, const double* dy, double* dx, std::int64_t count) {
  gelu_backward(x, dy, dx, count);
}
TPBENCH_VECTORISE void swiglu_backward_row(const float* gate, const float* up, const float* dy, float* dgate,
                                           float* dup, std::int64_t count) {
  swiglu_backward(gate, up, dy, dgate, dup, count);
}
TPBENCH_VECTORISE void swiglu_backward_row(const double* gate, const double* up, const double* dy,
                                           double* dgate, double* dup, std::int64_t count) {
  swiglu_backward(gate, up, dy, dgate, dup, count);
}

}  // namespace tpbench
