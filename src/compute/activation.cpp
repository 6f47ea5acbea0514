#include "compute/activation.hpp"

#include "base/vectorise.hpp"
#include "compute/activation_formulas.hpp"

namespace tpbench {
namespace {

// Results may stand where an operand stood, entry on entry: "ivdep" says that this keeps no loop from being
// vectorised.

template <typename T>
[[gnu::always_inline]] inline void gelu(const T* x, T* y, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) y[i] = gelu_of(x[i]);
}

template <typename T>
[[gnu::always_inline]] inline void swiglu(const T* gate, const T* up, T* y, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) y[i] = swiglu_of(gate[i], up[i]);
}

template <typename T>
[[gnu::always_inline]] inline void gelu_backward(const T* x, const T* dy, T* dx, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) dx[i] = dy[i] * gelu_slope(x[i]);
}

template <typename T>
[[gnu::always_inline]] inline void swiglu_backward(const T* gate, const T* up, const T* dy, T* dgate, T* dup,
                                                   std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) {
    const SwigluGradients<T> gradients = swiglu_gradients(gate[i], up[i], dy[i]);
    dgate[i] = gradients.gate;
    dup[i] = gradients.up;
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
