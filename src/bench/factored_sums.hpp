#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compute/backend.hpp"

namespace tpbench {

/// Factors of either sign and a size in [0.5, 1), all different: the random vector of Freivalds' check. Each
/// `call` has its own, so that no error cancels out every time.
std::vector<double> random_factors(std::uint64_t call, std::int64_t count);

/// Sums of terms with factors, and the sums of the squares of these terms: how large a sum may be expected to
/// be, whatever cancels out in it.
struct FactoredSums {
  std::vector<double> sums, squares;

  explicit FactoredSums(std::size_t rows = 0) : sums(rows), squares(rows) {}
};

/// The sums of the rows of X, with a factor for each column.
FactoredSums row_sums(const Factor& x, std::span<const double> factors, Backend& backend);

/// The sums of the rows of A B, from those of B: A (B f).
FactoredSums product_sums(const Factor& a, const FactoredSums& b, Backend& backend);

/// Elements of a piece, but for the last.
inline constexpr std::int64_t kSumPiece = 4096;

/// The sums of the pieces of an array of `count` elements.
FactoredSums piece_sums(const void* data, std::int64_t count, DType dtype, std::uint64_t call,
                        Backend& backend);

/// The bits of what lies between the rows of a view that is narrower than the matrix it was cut from, added
/// up: nothing of it may change when the view is written.
std::uint64_t bits_between_rows(const MatrixView& x, Backend& backend);

/// Row `row` of `x` in double.
void host_row_to(const MatrixView& x, std::int64_t row, std::vector<double>& values, Backend& backend);

}  // namespace tpbench
