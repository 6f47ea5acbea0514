#include "bench/factored_sums.hpp"

#include <algorithm>
#include <cmath>

#include "base/vectorise.hpp"
#include "bench/row_reader.hpp"

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

// Rows of a matrix, one at a time, in a type that the processor computes in.
template <typename T>
class ComputableRows {
 public:
  ComputableRows(const MatrixView& x, Backend& backend)
      : rows_(x, backend), wide_(static_cast<std::size_t>(sizeof(T) == 2 ? x.columns : 0)) {}

  const auto* row(std::int64_t r) {
    const auto* stored = static_cast<const T*>(rows_.row(r));
    if constexpr (sizeof(T) == 2) {
      convert(stored, wide_.data(), static_cast<std::int64_t>(wide_.size()));
      return static_cast<const float*>(wide_.data());
    } else {
      return stored;
    }
  }

 private:
  RowReader rows_;
  std::vector<float> wide_;
};

// Calls `visit(r, row)` for all rows, one after the other.
template <typename Visit>
void for_each_row(const MatrixView& x, Backend& backend, const Visit& visit) {
  dispatch(x.dtype, [&](auto zero) {
    ComputableRows<decltype(zero)> rows(x, backend);
    for (std::int64_t r = 0; r < x.rows; ++r) visit(r, rows.row(r));
  });
}

// The same on all threads.
template <typename Visit>
void for_each_row_in_parallel(const MatrixView& x, Backend& backend, const Visit& visit) {
  dispatch(x.dtype, [&](auto zero) {
    backend.parallel_for(x.rows, [&](std::int64_t first, std::int64_t last) {
      ComputableRows<decltype(zero)> rows(x.row_slice(first, last - first), backend);
      for (std::int64_t r = first; r < last; ++r) visit(r, rows.row(r - first));
    });
  });
}

// Of two bytes each, added up.
std::uint64_t bits_of(const MatrixView& x, Backend& backend) {
  RowReader rows(x, backend);
  std::uint64_t bits = 0;
  for (std::int64_t r = 0; r < x.rows; ++r) {
    const auto* words = static_cast<const std::uint16_t*>(rows.row(r));
    const std::int64_t count = x.columns * size_of(x.dtype) / 2;
    for (std::int64_t i = 0; i < count; ++i) bits += words[i];
  }
  return bits;
}

std::int64_t blocks_of(DType dtype, std::int64_t columns) {
  return (columns - 1) / columns_of_sums(dtype, columns) + 1;
}

}  // namespace

std::vector<double> random_factors(std::uint64_t call, std::int64_t count) {
  const TensorKey key = {.seed = 0x51695 + call, .tensor = 0x51695};
  std::vector<double> factors(static_cast<std::size_t>(count));
  fill_row(factors.data(), key, 0, 0, count);
  for (double& factor : factors) factor = (factor < 0 ? -1 : 1) * (0.5 + std::abs(factor) / 2);
  return factors;
}

// One wrong entry, as large as a typical one and with the smallest factor, among so many that are right
// changes their sum by a half over sqrt(0.58 columns): more than twice what operation_tolerance is.
std::int64_t columns_of_sums(DType dtype, std::int64_t columns) {
  constexpr std::int64_t kLeastSums = 4;
  const auto at_most = [&](std::int64_t limit) {
    return std::clamp<std::int64_t>((columns + kLeastSums - 1) / kLeastSums, 1, limit);
  };
  switch (dtype) {
    case DType::bf16:
      return at_most(128);
    case DType::f16:
    case DType::tf32:
      return at_most(1024);
    default:
      return std::max<std::int64_t>(1, columns);
  }
}

std::int64_t elements_of_piece(DType dtype) { return dtype == DType::bf16 ? 256 : 4096; }

FactoredSums FactoredSums::zeros(DType dtype, std::int64_t rows, std::int64_t columns) {
  return FactoredSums(static_cast<std::size_t>(rows * blocks_of(dtype, columns)));
}

FactoredSums& FactoredSums::operator+=(const FactoredSums& more) {
  for (std::size_t i = 0; i < sums.size(); ++i) {
    sums[i] += more.sums[i];
    squares[i] += more.squares[i];
  }
  return *this;
}

FactoredSums row_sums(const Factor& x, std::span<const double> factors, Backend& backend) {
  const DType dtype = x.matrix.dtype;
  const auto columns = static_cast<std::int64_t>(factors.size());
  std::vector<double> squared(factors.begin(), factors.end());
  for (double& factor : squared) factor *= factor;
  FactoredSums result = FactoredSums::zeros(dtype, x.rows(), columns);
  if (x.transposed) {
    for_each_row(x.matrix, backend, [&](std::int64_t r, const auto* row) {
      const auto at = static_cast<std::size_t>(r);
      const std::int64_t place = r / columns_of_sums(dtype, columns) * x.rows();
      add_row(row, factors[at], squared[at], result.sums.data() + place, result.squares.data() + place,
              x.rows());
    });
    return result;
  }
  for_each_row_in_parallel(x.matrix, backend, [&](std::int64_t r, const auto* row) {
    for_each_block(dtype, columns, [&](std::int64_t block, std::int64_t first, std::int64_t last) {
      const Pair pair = dot_row(row + first, factors.data() + first, squared.data() + first, last - first);
      const auto place = static_cast<std::size_t>(block * x.rows() + r);
      result.sums[place] = pair.sum;
      result.squares[place] = pair.squares;
    });
  });
  return result;
}

// A term is as large as its entries, also where the sum that it is a part of cancels out.
FactoredSums product_sums(const Factor& a, const FactoredSums& b, Backend& backend) {
  const auto inner = static_cast<std::size_t>(a.columns());
  const std::size_t blocks = b.sums.size() / inner, rows = static_cast<std::size_t>(a.rows());
  FactoredSums result(rows * blocks);
  if (a.transposed) {
    for_each_row(a.matrix, backend, [&](std::int64_t r, const auto* row) {
      for (std::size_t block = 0; block < blocks; ++block) {
        const std::size_t at = block * inner + static_cast<std::size_t>(r);
        add_row(row, b.sums[at], b.squares[at], result.sums.data() + block * rows,
                result.squares.data() + block * rows, a.rows());
      }
    });
    return result;
  }
  for_each_row_in_parallel(a.matrix, backend, [&](std::int64_t r, const auto* row) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const Pair pair = dot_row(row, b.sums.data() + block * inner, b.squares.data() + block * inner,
                                static_cast<std::int64_t>(inner));
      result.sums[block * rows + static_cast<std::size_t>(r)] = pair.sum;
      result.squares[block * rows + static_cast<std::size_t>(r)] = pair.squares;
    }
  });
  return result;
}

FactoredSums piece_sums(const void* data, std::int64_t count, DType dtype, std::uint64_t call,
                        Backend& backend) {
  const std::int64_t size = elements_of_piece(dtype);
  const std::vector<double> factors = random_factors(call, std::min(count, size));
  FactoredSums result;
  const auto append = [&](std::int64_t first, std::int64_t rows, std::int64_t columns) {
    if (rows == 0 || columns == 0) return;
    auto* begin = static_cast<std::byte*>(const_cast<void*>(data)) + first * size_of(dtype);
    const FactoredSums piece = row_sums(MatrixView{begin, dtype, rows, columns, columns},
                                        std::span(factors).first(static_cast<std::size_t>(columns)), backend);
    result.sums.insert(result.sums.end(), piece.sums.begin(), piece.sums.end());
    result.squares.insert(result.squares.end(), piece.squares.begin(), piece.squares.end());
  };
  const std::int64_t pieces = count / size;
  append(0, pieces, size);
  append(pieces * size, 1, count - pieces * size);
  return result;
}

std::uint64_t bits_between_rows(const MatrixStack& stack, Backend& backend) {
  const MatrixView& x = stack.first;
  std::uint64_t bits = 0;
  const auto add_gaps = [&](const MatrixView& cut) {
    const std::int64_t gap = cut.row_stride - cut.columns;
    if (gap > 0 && cut.rows > 1) bits += bits_of(cut.block(0, cut.rows - 1, cut.columns, gap), backend);
  };
  const bool side_by_side = stack.count > 1 && stack.stride < x.row_stride;
  if (!side_by_side) {
    for (std::int64_t i = 0; i < stack.count; ++i) add_gaps(stack.at(i));
    return bits;
  }
  // What lies in the gaps of one view is another one: of the columns from the first to the last of them all,
  // those of none.
  const MatrixView all = x.block(0, x.rows, 0, (stack.count - 1) * stack.stride + x.columns);
  add_gaps(all);
  bits += bits_of(all, backend);
  for (std::int64_t i = 0; i < stack.count; ++i) bits -= bits_of(stack.at(i), backend);
  return bits;
}

}  // namespace tpbench
