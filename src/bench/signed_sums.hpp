#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compute/backend.hpp"

namespace tpbench {

/// Signs +1 or -1: the random vector of Freivalds' check.
std::vector<double> random_signs(std::int64_t count);

/// Sums of signed terms, and the sums of the squares of these terms: how large a sum may be expected to be,
/// whatever cancels out in it.
struct SignedSums {
  std::vector<double> sums, squares;
};

/// The sums of the rows of X, with a sign for each column.
SignedSums row_sums(const Factor& x, std::span<const double> signs, Backend& backend);

/// The sums of the rows of A B, from those of B: A (B s).
SignedSums product_sums(const Factor& a, const SignedSums& b, Backend& backend);

/// The sums of the pieces of an array of `count` elements, each with the signs of `random_signs`.
SignedSums signed_sums(const void* data, std::int64_t count, DType dtype, Backend& backend);

/// Elements of a piece, but for the last.
inline constexpr std::int64_t kSumPiece = 4096;

/// A matrix on the host in double, contiguous.
std::vector<double> host_copy(const MatrixView& x, Backend& backend);

}  // namespace tpbench
