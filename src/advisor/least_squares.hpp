#pragma once

#include <span>
#include <vector>

namespace tpbench {

/// One equation: the sum of `factors` times the unknowns shall be `target`.
struct Equation {
  std::vector<double> factors;  ///< as many as there are unknowns
  double target = 0;
};

/// The unknowns, none of them negative, with the least sum of squared differences, by an active set
/// (C. L. Lawson, R. J. Hanson, Solving Least Squares Problems, 1974, chapter 23). Those that no equation
/// tells are 0. Meant for some ten unknowns.
std::vector<double> solve_non_negative(std::span<const Equation> equations);

}  // namespace tpbench
