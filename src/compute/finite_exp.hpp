#pragma once

#include <cmath>

namespace tpbench {

/// An exponential that stays finite, and so does its reciprocal: fast division makes NaN of 1/infinity. What
/// is beyond changes no result: x exp(-80) has no digit in common with anything.
template <typename T>
[[gnu::always_inline]] inline T finite_exp(T exponent) {
  constexpr T kLargest = sizeof(T) == 4 ? T(80) : T(700);
  return std::exp(exponent < kLargest ? exponent : kLargest);
}

}  // namespace tpbench
