#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

// What a message costs by its size: time = alpha + beta * bytes, piece by piece.
namespace tpbench {

/// One measured size.
struct TimedSize {
  std::int64_t bytes = 0;
  double seconds = 0;  ///< above 0
};

/// Hockney's model of one range of sizes (R. W. Hockney, The communication challenge for MPP, Parallel
/// Computing 20(3), 1994), with what it leaves unexplained. A relative deviation is |model - measured| /
/// measured.
struct AlphaBeta {
  double alpha_s = 0;           ///< start-up, not negative
  double beta_s_per_byte = 0;   ///< not negative
  double median_deviation = 0;  ///< relative, over the points
  double max_deviation = 0;

  [[nodiscard]] double seconds(std::int64_t bytes) const {
    return alpha_s + beta_s_per_byte * static_cast<double>(bytes);
  }
};

/// One piece of a cost curve.
struct CostPiece {
  std::int64_t from_bytes = 0;  ///< smallest and largest size measured in it
  std::int64_t to_bytes = 0;
  std::size_t points = 0;
  AlphaBeta model;
};

/// Fewer points than this are no piece: two unknowns through two points deviate by nothing and prove nothing.
inline constexpr std::size_t kFewestPoints = 3;

/// Fits alpha and beta >= 0 to `points` (one or more) by least squares of the relative deviations, that is
/// with the weights 1 / seconds^2: a size of a microsecond counts as much as one of a second. The
/// non-negative optimum of two unknowns is the free one, or lies where one of them is 0 (C. L. Lawson, R. J.
/// Hanson, Solving Least Squares Problems, 1974, chapter 23). With a single size, beta is 0. Throws
/// std::invalid_argument for no points and for times that are not above 0.
AlphaBeta fit_alpha_beta(std::span<const TimedSize> points);

/// Cuts `points`, in ascending order of size, into the pieces that describe them best, of kFewestPoints or
/// more each and `most_pieces` at most: for each number of pieces the cuts with the least sum of squared
/// relative deviations, and of those the one with the least Bayesian information criterion (G. Schwarz,
/// Estimating the Dimension of a Model, Annals of Statistics 6(2), 1978), where deviations of 2 % count as
/// noise that no further piece could explain.
std::vector<CostPiece> fit_by_search(std::span<const TimedSize> points, std::size_t most_pieces);

/// The same with a cut that is known: messages below `eager_limit_bytes` go at once, others wait for their
/// receiver. A message of just that size does not fit with its header. Each side is searched on its own, for
/// up to `most_pieces_each` pieces. Where a side has too few points the limit is not used: `limit_used` says
/// so.
struct LimitedFit {
  std::vector<CostPiece> pieces;
  bool limit_used = false;
};
LimitedFit fit_at_limit(std::span<const TimedSize> points, std::int64_t eager_limit_bytes,
                        std::size_t most_pieces_each);

/// Seconds that `pieces`, in ascending order and not empty, give a message of `bytes`: by the last piece that
/// begins at or below it, by the first one below all.
double cost_s(std::span<const CostPiece> pieces, std::int64_t bytes);

}  // namespace tpbench
