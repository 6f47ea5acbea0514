#include "bench/factored_sums.hpp"

#include <algorithm>
#include <cmath>

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

}  // namespace

std::vector<double> random_factors(std::uint64_t call, std::int64_t count) {
  const TensorKey key = {.seed = 0x51695 + call, .tensor = 0x51695};
  std::vector<double> factors(static_cast<std::size_t>(count));
  fill_row(factors.data(), key, 0, 0, count);
  for (double& factor : factors) factor = (factor < 0 ? -1 : 1) * (0.5 + std::abs(factor) / 2);
  return factors;
}

// A term is as large as its entries, also where the sum that it is a part of cancels out.
FactoredSums product_sums(const Factor& a, const FactoredSums& b, Backend& backend) {
  const MatrixView& x = a.matrix;
  FactoredSums result(static_cast<std::size_t>(a.rows()));
  const std::size_t row_bytes = static_cast<std::size_t>(x.columns * size_of(x.dtype));
  dispatch(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (a.transposed) {
      std::vector<std::byte> scratch(row_bytes);
      for (std::int64_t r = 0; r < x.rows; ++r) {
        const auto at = static_cast<std::size_t>(r);
        add_row(static_cast<const T*>(backend.host_row(x, r, scratch)), b.sums[at], b.squares[at],
                result.sums.data(), result.squares.data(), x.columns);
      }
      return;
    }
    backend.parallel_for(x.rows, [&](std::int64_t first, std::int64_t last) {
      std::vector<std::byte> scratch(row_bytes);
      for (std::int64_t r = first; r < last; ++r) {
        const Pair pair = dot_row(static_cast<const T*>(backend.host_row(x, r, scratch)), b.sums.data(),
                                  b.squares.data(), x.columns);
        result.sums[static_cast<std::size_t>(r)] = pair.sum;
        result.squares[static_cast<std::size_t>(r)] = pair.squares;
      }
    });
  });
  return result;
}

FactoredSums row_sums(const Factor& x, std::span<const double> factors, Backend& backend) {
  FactoredSums vector(factors.size());
  vector.sums.assign(factors.begin(), factors.end());
  for (std::size_t i = 0; i < factors.size(); ++i) vector.squares[i] = factors[i] * factors[i];
  return product_sums(x, vector, backend);
}

FactoredSums piece_sums(const void* data, std::int64_t count, DType dtype, std::uint64_t call,
                        Backend& backend) {
  const std::vector<double> factors = random_factors(call, std::min(count, kSumPiece));
  FactoredSums result;
  const auto append = [&](std::int64_t first, std::int64_t rows, std::int64_t columns) {
    if (rows == 0 || columns == 0) return;
    auto* begin = static_cast<std::byte*>(const_cast<void*>(data)) + first * size_of(dtype);
    const FactoredSums piece = row_sums(MatrixView{begin, dtype, rows, columns, columns},
                                        std::span(factors).first(static_cast<std::size_t>(columns)), backend);
    result.sums.insert(result.sums.end(), piece.sums.begin(), piece.sums.end());
    result.squares.insert(result.squares.end(), piece.squares.begin(), piece.squares.end());
  };
  const std::int64_t pieces = count / kSumPiece;
  append(0, pieces, kSumPiece);
  append(pieces * kSumPiece, 1, count - pieces * kSumPiece);
  return result;
}

std::uint64_t bits_between_rows(const MatrixView& x, Backend& backend) {
  const std::int64_t gap = x.row_stride - x.columns;
  if (gap <= 0 || x.rows < 2) return 0;
  MatrixView between = x.block(0, x.rows - 1, x.columns, gap);
  std::vector<std::byte> scratch(static_cast<std::size_t>(gap * size_of(x.dtype)));
  std::uint64_t bits = 0;
  for (std::int64_t r = 0; r < between.rows; ++r) {
    const auto* words = static_cast<const std::uint32_t*>(backend.host_row(between, r, scratch));
    const std::int64_t count = gap * size_of(x.dtype) / 4;
    for (std::int64_t i = 0; i < count; ++i) bits += words[i];
  }
  return bits;
}

void host_row_to(const MatrixView& x, std::int64_t row, std::vector<double>& values, Backend& backend) {
  std::vector<std::byte> scratch(static_cast<std::size_t>(x.columns * size_of(x.dtype)));
  dispatch(x.dtype, [&](auto zero) {
    const auto* entries = static_cast<const decltype(zero)*>(backend.host_row(x, row, scratch));
    values.assign(entries, entries + x.columns);
  });
}

}  // namespace tpbench
