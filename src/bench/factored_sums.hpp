#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/backend.hpp"

namespace tpbench {

/// Factors of either sign and a size in [0.5, 1), all different: the random vector of Freivalds' check. Each
/// `call` has its own, so that no error cancels out every time.
std::vector<double> random_factors(std::uint64_t call, std::int64_t count);

/// How many columns of a matrix with `columns` of them one sum is over. In f32 and f64 all. What is stored in
/// a narrow type is rounded so much that one wrong entry among many would hide behind it, and so would an
/// error of a whole row, once in some tens of draws of the factors: there a row has four sums or more.
std::int64_t columns_of_sums(DType dtype, std::int64_t columns);

/// Sums of terms with factors, and the sums of the squares of these terms: how large a sum may be expected to
/// be, whatever cancels out in it. A row has one for each block of columns: those of the first block come
/// first, row by row.
struct FactoredSums {
  std::vector<double> sums, squares;

  explicit FactoredSums(std::size_t count = 0) : sums(count), squares(count) {}
  /// Zeros for rows of `columns` columns.
  static FactoredSums zeros(DType dtype, std::int64_t rows, std::int64_t columns);
  /// Adds those of other terms.
  FactoredSums& operator+=(const FactoredSums& more);
};

/// Calls `visit(block, first, last)` for the blocks of columns that rows of `columns` columns are summed in.
template <typename Visit>
void for_each_block(DType dtype, std::int64_t columns, const Visit& visit) {
  const std::int64_t size = columns_of_sums(dtype, columns);
  for (std::int64_t first = 0, block = 0; first < columns; first += size, ++block)
    visit(block, first, std::min(first + size, columns));
}

/// The sums of the rows of X, with a factor for each column.
FactoredSums row_sums(const Factor& x, std::span<const double> factors, Backend& backend);

/// The sums of the rows of A B, from those of B: A (B f).
FactoredSums product_sums(const Factor& a, const FactoredSums& b, Backend& backend);

/// Elements of a piece of an array, but for the last. A piece is summed like a row.
std::int64_t elements_of_piece(DType dtype);

/// The sums of the pieces of an array of `count` elements.
FactoredSums piece_sums(const void* data, std::int64_t count, DType dtype, std::uint64_t call,
                        Backend& backend);

/// The bits of what lies between the rows of views that are narrower than the matrix they were cut from,
/// added up: nothing of it may change when the views are written.
std::uint64_t bits_between_rows(const MatrixStack& stack, Backend& backend);

}  // namespace tpbench
