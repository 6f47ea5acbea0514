#include "compute/activation.hpp"

#include <cmath>

#include "base/vectorise.hpp"

namespace tpbench {
namespace {

// 2 sqrt(2/pi)
template <typename T>
constexpr T kTwiceRootTwoOverPi = T(1.5957691216057307117597842397375L);

// An exponential that stays finite, and so does its reciprocal: fast division makes NaN of 1/infinity. What
// is beyond changes no result: x exp(-80) has no digit in common with anything.
template <typename T>
[[gnu::always_inline]] inline T finite_exp(T exponent) {
  constexpr T kLargest = sizeof(T) == 4 ? T(80) : T(700);
  return std::exp(exponent < kLargest ? exponent : kLargest);
}

template <typename T>
[[gnu::always_inline]] inline void gelu(T* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T v = x[i];
    x[i] = v / (T(1) + finite_exp(-kTwiceRootTwoOverPi<T> * (v + T(0.044715) * v * v * v)));
  }
}

template <typename T>
[[gnu::always_inline]] inline void swiglu(T* gate, const T* up, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) gate[i] = gate[i] / (T(1) + finite_exp(-gate[i])) * up[i];
}

}  // namespace

TPBENCH_VECTORISE void gelu_row(float* x, std::int64_t count) { gelu(x, count); }
TPBENCH_VECTORISE void gelu_row(double* x, std::int64_t count) { gelu(x, count); }
TPBENCH_VECTORISE void swiglu_row(float* gate, const float* up, std::int64_t count) {
  swiglu(gate, up, count);
}
TPBENCH_VECTORISE void swiglu_row(double* gate, const double* up, std::int64_t count) {
  swiglu(gate, up, count);
}

}  // namespace tpbench
