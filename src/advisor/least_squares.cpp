#include "advisor/least_squares.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tpbench {
namespace {

using Row = std::vector<double>;

// A^T A and A^T b, of columns with length 1.
struct Normal {
  std::vector<Row> products;
  Row targets, lengths;
};

Normal normal_of(std::span<const Equation> equations) {
  const std::size_t n = equations.empty() ? 0 : equations.front().factors.size();
  Normal normal = {std::vector<Row>(n, Row(n, 0)), Row(n, 0), Row(n, 0)};
  for (std::size_t i = 0; i < n; ++i) {
    for (const Equation& equation : equations) normal.lengths[i] += equation.factors[i] * equation.factors[i];
    normal.lengths[i] = std::sqrt(normal.lengths[i]);
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (normal.lengths[i] == 0) continue;
    for (const Equation& equation : equations) {
      const double factor = equation.factors[i] / normal.lengths[i];
      normal.targets[i] += factor * equation.target;
      for (std::size_t j = 0; j < n; ++j) {
        if (normal.lengths[j] > 0) normal.products[i][j] += factor * equation.factors[j] / normal.lengths[j];
      }
    }
  }
  return normal;
}

// The free optimum of the unknowns in `free`, the others 0; by elimination with pivots on the diagonal. What
// follows from others to twelve digits is 0.
Row solve_free(const Normal& normal, const std::vector<bool>& free) {
  const std::size_t n = free.size();
  std::vector<Row> a = normal.products;
  Row b = normal.targets, x(n, 0);
  std::vector<std::size_t> order;
  std::vector<bool> left = free;
  for (;;) {
    std::size_t pivot = n;
    for (std::size_t i = 0; i < n; ++i) {
      if (left[i] && a[i][i] > 1e-12 && (pivot == n || a[i][i] > a[pivot][pivot])) pivot = i;
    }
    if (pivot == n) break;
    left[pivot] = false;
    order.push_back(pivot);
    for (std::size_t i = 0; i < n; ++i) {
      if (!left[i]) continue;
      const double share = a[i][pivot] / a[pivot][pivot];
      for (std::size_t j = 0; j < n; ++j) a[i][j] -= share * a[pivot][j];
      b[i] -= share * b[pivot];
    }
  }
  for (std::size_t k = order.size(); k-- > 0;) {
    const std::size_t i = order[k];
    double sum = b[i];
    for (std::size_t later = k + 1; later < order.size(); ++later)
      sum -= a[i][order[later]] * x[order[later]];
    x[i] = sum / a[i][i];
  }
  return x;
}

// Goes from `from` towards `to` until the first of the free unknowns is 0, and frees it no longer.
void step_back(Row& from, const Row& to, std::vector<bool>& free) {
  double share = 1;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (free[i] && to[i] <= 0) share = std::min(share, from[i] > 0 ? from[i] / (from[i] - to[i]) : 0);
  }
  for (std::size_t i = 0; i < from.size(); ++i) {
    from[i] += share * (to[i] - from[i]);
    if (free[i] && from[i] <= 1e-14) {
      free[i] = false;
      from[i] = 0;
    }
  }
}

}  // namespace

std::vector<double> solve_non_negative(std::span<const Equation> equations) {
  const Normal normal = normal_of(equations);
  const std::size_t n = normal.targets.size();
  Row x(n, 0);
  std::vector<bool> free(n, false), tried(n, false);
  for (std::size_t round = 0; round < 10 * n; ++round) {
    std::size_t most = n;
    double steepest = 1e-11;
    for (std::size_t i = 0; i < n; ++i) {
      double slope = normal.targets[i];
      for (std::size_t j = 0; j < n; ++j) slope -= normal.products[i][j] * x[j];
      if (free[i] || tried[i] || slope <= steepest) continue;
      most = i;
      steepest = slope;
    }
    if (most == n) break;
    free[most] = true;
    const Row before = x;
    for (;;) {
      const Row best = solve_free(normal, free);
      const bool is_inside = [&] {
        for (std::size_t i = 0; i < n; ++i) {
          if (free[i] && best[i] <= 0) return false;
        }
        return true;
      }();
      if (is_inside) {
        x = best;
        break;
      }
      step_back(x, best, free);
    }
    // What moves nothing is not tried again until something else has moved.
    if (x == before)
      tried[most] = true;
    else
      std::fill(tried.begin(), tried.end(), false);
  }
  for (std::size_t i = 0; i < n; ++i) x[i] = normal.lengths[i] > 0 ? x[i] / normal.lengths[i] : 0;
  return x;
}

}  // namespace tpbench
