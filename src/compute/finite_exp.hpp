#pragma once

#include <cmath>

#include "base/host_device.hpp"

namespace tpbench {

/// An exponential that stays finite, and so does its reciprocal: fast division makes NaN of 1/infinity. What
/// is beyond changes no result: x exp(-80) has no digit in common with anything.
template <typename T>
TPBENCH_HOST_DEVICE T finite_exp(T exponent) {
  constexpr T kLargest = sizeof(T) == 4 ? T(80) : T(700);
  return std::exp(exponent < kLargest ? exponent : kLargest);
}

}  // namespace tpbench
