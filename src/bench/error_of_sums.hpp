#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "bench/factored_sums.hpp"

namespace tpbench {

/// Additions behind an entry of an operation whose results are rounded no more: a copy, or what is gathered.
inline constexpr std::int64_t kCopied = 0;

inline constexpr double kNotANumber = std::numeric_limits<double>::infinity();

/// The largest difference over the size of the terms that the sums are made of, or of what was found, where
/// terms of one sign make results larger than that; infinite where something was not a number. Terms count as
/// large as `least_squares` makes them (the sum of their squares).
inline double error_of_sums(const FactoredSums& expected, const FactoredSums& found,
                            double least_squares = 0) {
  double error = 0;
  for (std::size_t i = 0; i < found.sums.size(); ++i) {
    const double distance = std::abs(found.sums[i] - expected.sums[i]);
    if (distance == 0) continue;
    const double size = std::max(expected.squares[i], found.squares[i]) + least_squares;
    const double relative = distance / std::sqrt(size);
    error = std::isfinite(relative) ? std::max(error, relative) : kNotANumber;
  }
  return error;
}

}  // namespace tpbench
