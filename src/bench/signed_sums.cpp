#include "bench/signed_sums.hpp"

#include <algorithm>

#include "base/vectorise.hpp"

namespace tpbench {
namespace {

struct Pair {
  double sum = 0, squares = 0;
};

// Eight running sums, as a single one would wait for itself.
template <typename T>
[[gnu::always_inline]] inline Pair dot(const T* row, const double* factors, const double* squared,
                                       std::int64_t count) {
  double sums[8] = {}, squares[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (std::int64_t lane = 0; lane < 8; ++lane) {
      const auto value = static_cast<double>(row[i + lane]);
      sums[lane] += value * factors[i + lane];
      squares[lane] += value * value * squared[i + lane];
    }
  }
  Pair total;
  for (std::int64_t lane = 0; lane < 8; ++lane) {
    total.sum += sums[lane];
    total.squares += squares[lane];
  }
  for (; i < count; ++i) {
    const auto value = static_cast<double>(row[i]);
    total.sum += value * factors[i];
    total.squares += value * value * squared[i];
  }
  return total;
}

TPBENCH_VECTORISE Pair dot_row(const float* row, const double* factors, const double* squared,
                               std::int64_t count) {
  return dot(row, factors, squared, count);
}
TPBENCH_VECTORISE Pair dot_row(const double* row, const double* factors, const double* squared,
                               std::int64_t count) {
  return dot(row, factors, squared, count);
}

template <typename T>
[[gnu::always_inline]] inline void add(const T* row, double factor, double squared, double* sums,
                                       double* squares, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(row[i]);
    sums[i] += value * factor;
    squares[i] += value * value * squared;
  }
}

TPBENCH_VECTORISE void add_row(const float* row, double factor, double squared, double* sums, double* squares,
                               std::int64_t count) {
  add(row, factor, squared, sums, squares, count);
}
TPBENCH_VECTORISE void add_row(const double* row, double factor, double squared, double* sums,
                               double* squares, std::int64_t count) {
  add(row, factor, squared, sums, squares, count);
}

std::vector<std::byte> scratch_for(const MatrixView& x) {
  return std::vector<std::byte>(static_cast<std::size_t>(x.columns * size_of(x.dtype)));
}

}  // namespace

std::vector<double> random_signs(std::int64_t count) {
  constexpr TensorKey kSigns = {.seed = 0x51695, .tensor = 0x51695};
  std::vector<double> signs(static_cast<std::size_t>(count));
  fill_row(signs.data(), kSigns, 0, 0, count);
  for (double& sign : signs) sign = sign < 0 ? -1 : 1;
  return signs;
}

// A term is as large as its entries, also where the sum that it is a part of cancels out.
SignedSums product_sums(const Factor& a, const SignedSums& b, Backend& backend) {
  const MatrixView& x = a.matrix;
  const auto rows = static_cast<std::size_t>(a.rows());
  SignedSums result{std::vector<double>(rows), std::vector<double>(rows)};
  std::vector<std::byte> scratch = scratch_for(x);
  dispatch(x.dtype, [&](auto zero) {
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const auto* row = static_cast<const decltype(zero)*>(backend.host_row(x, r, scratch));
      const auto at = static_cast<std::size_t>(r);
      if (a.transposed) {
        add_row(row, b.sums[at], b.squares[at], result.sums.data(), result.squares.data(), x.columns);
      } else {
        const Pair pair = dot_row(row, b.sums.data(), b.squares.data(), x.columns);
        result.sums[at] = pair.sum;
        result.squares[at] = pair.squares;
      }
    }
  });
  return result;
}

SignedSums row_sums(const Factor& x, std::span<const double> signs, Backend& backend) {
  const std::vector<double> ones(signs.size(), 1.0);
  return product_sums(x, {{signs.begin(), signs.end()}, ones}, backend);
}

SignedSums signed_sums(const void* data, std::int64_t count, DType dtype, Backend& backend) {
  const std::vector<double> signs = random_signs(std::min(count, kSumPiece));
  SignedSums result;
  const auto append = [&](std::int64_t first, std::int64_t rows, std::int64_t columns) {
    if (rows == 0 || columns == 0) return;
    auto* begin = static_cast<std::byte*>(const_cast<void*>(data)) + first * size_of(dtype);
    const SignedSums piece = row_sums(MatrixView{begin, dtype, rows, columns, columns}, signs, backend);
    result.sums.insert(result.sums.end(), piece.sums.begin(), piece.sums.end());
    result.squares.insert(result.squares.end(), piece.squares.begin(), piece.squares.end());
  };
  const std::int64_t pieces = count / kSumPiece;
  append(0, pieces, kSumPiece);
  append(pieces * kSumPiece, 1, count - pieces * kSumPiece);
  return result;
}

std::vector<double> host_copy(const MatrixView& x, Backend& backend) {
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(x.elements()));
  std::vector<std::byte> scratch = scratch_for(x);
  dispatch(x.dtype, [&](auto zero) {
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const auto* row = static_cast<const decltype(zero)*>(backend.host_row(x, r, scratch));
      values.insert(values.end(), row, row + x.columns);
    }
  });
  return values;
}

}  // namespace tpbench
