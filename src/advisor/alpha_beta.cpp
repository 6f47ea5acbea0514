#include "advisor/alpha_beta.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "measure/statistics.hpp"

namespace tpbench {
namespace {

// A relative deviation that measuring alone brings.
constexpr double kNoise = 0.02;

struct Line {
  double alpha_s = 0;
  double beta_s_per_byte = 0;
};

double squared_deviations(std::span<const TimedSize> points, const Line& line) {
  double sum = 0;
  for (const TimedSize& point : points) {
    const double modelled = line.alpha_s + line.beta_s_per_byte * static_cast<double>(point.bytes);
    const double deviation = (modelled - point.seconds) / point.seconds;
    sum += deviation * deviation;
  }
  return sum;
}

// With x = 1 / t and y = bytes / t, alpha x + beta y shall be 1 at every point.
Line best_line(std::span<const TimedSize> points) {
  double xx = 0, xy = 0, yy = 0, x = 0, y = 0;
  // Bytes in units of the largest size: squares of gigabytes beside those of bytes would cost digits.
  double unit = 1;
  for (const TimedSize& point : points) unit = std::max(unit, static_cast<double>(point.bytes));
  for (const TimedSize& point : points) {
    const double px = 1 / point.seconds, py = static_cast<double>(point.bytes) / unit / point.seconds;
    xx += px * px;
    xy += px * py;
    yy += py * py;
    x += px;
    y += py;
  }
  const double determinant = xx * yy - xy * xy;
  const bool one_size = std::all_of(points.begin(), points.end(), [&](const TimedSize& point) {
    return point.bytes == points.front().bytes;
  });
  const Line constant = {x / xx, 0};
  if (one_size || determinant <= 0) return constant;
  const Line free = {(x * yy - y * xy) / determinant, (y * xx - x * xy) / determinant / unit};
  if (free.alpha_s >= 0 && free.beta_s_per_byte >= 0) return free;
  const Line through_origin = {0, y / yy / unit};
  return squared_deviations(points, constant) < squared_deviations(points, through_origin) ? constant
                                                                                           : through_origin;
}

CostPiece make_piece(std::span<const TimedSize> points) {
  return {points.front().bytes, points.back().bytes, points.size(), fit_alpha_beta(points)};
}

void check(std::span<const TimedSize> points) {
  if (points.empty()) throw std::invalid_argument("fit of alpha and beta: no points");
  for (const TimedSize& point : points) {
    if (!(point.seconds > 0) || !std::isfinite(point.seconds) || point.bytes < 0)
      throw std::invalid_argument("fit of alpha and beta: a time that is not above 0, or a negative size");
  }
}

// The first `end` points in `pieces` pieces: least squared deviations, and where the last piece begins.
struct Cut {
  double squared = std::numeric_limits<double>::infinity();
  std::size_t begin = 0;
};

// cuts[k][end] for k + 1 pieces: each from the best of one piece less (Bellman's recursion).
std::vector<std::vector<Cut>> best_cuts(std::span<const TimedSize> points, std::size_t most_pieces) {
  const std::size_t n = points.size();
  std::vector<std::vector<Cut>> cuts(most_pieces, std::vector<Cut>(n + 1));
  for (std::size_t end = 1; end <= n; ++end) {
    for (std::size_t begin = 0; begin < end; ++begin) {
      if (end - begin < kFewestPoints && n >= kFewestPoints) break;
      const auto part = points.subspan(begin, end - begin);
      const double squared = squared_deviations(part, best_line(part));
      if (begin == 0) cuts[0][end] = {squared, 0};
      for (std::size_t k = 1; begin > 0 && k < most_pieces; ++k) {
        const double sum = cuts[k - 1][begin].squared + squared;
        if (sum < cuts[k][end].squared) cuts[k][end] = {sum, begin};
      }
    }
  }
  return cuts;
}

double information_criterion(double squared, std::size_t points, std::size_t pieces) {
  const auto n = static_cast<double>(points);
  const auto parameters = static_cast<double>(3 * pieces - 1);  // two for each piece, and where it begins
  return n * std::log(squared / n + kNoise * kNoise) + parameters * std::log(n);
}

}  // namespace

AlphaBeta fit_alpha_beta(std::span<const TimedSize> points) {
  check(points);
  const Line line = best_line(points);
  AlphaBeta model{line.alpha_s, line.beta_s_per_byte, 0, 0};
  std::vector<double> deviations;
  for (const TimedSize& point : points)
    deviations.push_back(std::abs(model.seconds(point.bytes) - point.seconds) / point.seconds);
  std::sort(deviations.begin(), deviations.end());
  model.median_deviation = quantile_of_sorted(deviations, 0.5);
  model.max_deviation = deviations.back();
  return model;
}

std::vector<CostPiece> fit_by_search(std::span<const TimedSize> points, std::size_t most_pieces) {
  check(points);
  const std::size_t n = points.size();
  const auto cuts = best_cuts(points, std::max<std::size_t>(1, most_pieces));
  std::size_t best = 0;
  for (std::size_t k = 1; k < cuts.size(); ++k) {
    if (!std::isfinite(cuts[k][n].squared)) break;
    if (information_criterion(cuts[k][n].squared, n, k + 1) <
        information_criterion(cuts[best][n].squared, n, best + 1))
      best = k;
  }
  std::vector<CostPiece> pieces;
  std::size_t end = n;
  for (std::size_t k = best + 1; k-- > 0; end = cuts[k][end].begin)
    pieces.insert(pieces.begin(), make_piece(points.subspan(cuts[k][end].begin, end - cuts[k][end].begin)));
  return pieces;
}

LimitedFit fit_at_limit(std::span<const TimedSize> points, std::int64_t eager_limit_bytes,
                        std::size_t most_pieces_each) {
  check(points);
  const auto cut = std::partition_point(
      points.begin(), points.end(), [&](const TimedSize& point) { return point.bytes < eager_limit_bytes; });
  const auto eager = static_cast<std::size_t>(cut - points.begin());
  if (eager < kFewestPoints || points.size() - eager < kFewestPoints)
    return {fit_by_search(points, 2 * most_pieces_each), false};
  std::vector<CostPiece> pieces = fit_by_search(points.first(eager), most_pieces_each);
  const auto above = fit_by_search(points.subspan(eager), most_pieces_each);
  pieces.insert(pieces.end(), above.begin(), above.end());
  return {pieces, true};
}

double cost_s(std::span<const CostPiece> pieces, std::int64_t bytes) {
  if (pieces.empty()) throw std::invalid_argument("cost_s: no pieces");
  const CostPiece* piece = &pieces.front();
  for (const CostPiece& later : pieces) {
    if (later.from_bytes <= bytes) piece = &later;
  }
  return piece->model.seconds(bytes);
}

}  // namespace tpbench
