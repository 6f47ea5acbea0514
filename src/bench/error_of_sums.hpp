#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/factored_sums.hpp"

namespace tpbench {

inline constexpr double kNotANumber = std::numeric_limits<double>::infinity();

/// The largest difference over the size of the terms that the sums are made of; infinite where something was
/// not a number.
inline double error_of_sums(const FactoredSums& expected, const FactoredSums& found) {
  double error = 0;
  for (std::size_t i = 0; i < found.sums.size(); ++i) {
    const double distance = std::abs(found.sums[i] - expected.sums[i]);
    if (distance == 0) continue;
    const double relative = distance / std::sqrt(expected.squares[i]);
    error = std::isfinite(relative) ? std::max(error, relative) : kNotANumber;
  }
  return error;
}

}  // namespace tpbench
