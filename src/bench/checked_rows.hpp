#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "bench/error_of_sums.hpp"
#include "bench/factored_sums.hpp"
#include "bench/operation_check.hpp"
#include "bench/row_reader.hpp"

namespace tpbench {

/// Additions and function calls behind one entry of an operation that works entry by entry: an exponential of
/// vectors is good to a few units, and its argument is rounded as often as it is large.
inline constexpr std::int64_t kEntryLength = 256;

/// What a row should become, and how large the terms are that it is made of.
struct ExpectedRow {
  std::vector<double> values, sizes;

  explicit ExpectedRow(std::int64_t columns)
      : values(static_cast<std::size_t>(columns)), sizes(static_cast<std::size_t>(columns)) {}
  void set(std::size_t column, double value, double size = 0) {
    values[column] = value;
    sizes[column] = std::max(std::abs(value), std::abs(size));
  }
};

/// What checks of operations row by row have in common: the results of an operation against what its
/// definition makes of its operands, by sums with random factors.
class CheckedRows : public ForwardingBackend {
 public:
  CheckedRows(std::unique_ptr<Backend> inner, OperationErrors& errors, Heartbeat& heartbeat)
      : ForwardingBackend(std::move(inner)), errors_(errors), heartbeat_(heartbeat) {}

 protected:
  using Values = std::vector<double>;
  /// The same row of each operand.
  using OperandRows = std::span<const Values>;

  /// Runs `operation` and compares each row of `result` with what `expect(row, operands, expected)` makes of
  /// the operands' rows as they are before it.
  template <typename Expect, typename Operation>
  void check_rows(const MatrixView& result, const std::vector<MatrixView>& operands, std::int64_t length,
                  const Expect& expect, const Operation& operation, std::int64_t stores = 1) {
    const Values factors = random_factors(++calls_, result.columns);
    FactoredSums expected = FactoredSums::zeros(result.dtype, result.rows, result.columns);
    parallel_for(result.rows, [&](std::int64_t first, std::int64_t last) {
      std::vector<RowReader> readers;
      for (const MatrixView& x : operands) readers.emplace_back(x.row_slice(first, last - first), *this);
      std::vector<Values> rows(operands.size());
      for (std::int64_t r = first; r < last; ++r) {
        for (std::size_t i = 0; i < rows.size(); ++i) readers[i].row_to(r - first, rows[i]);
        ExpectedRow row(result.columns);
        expect(r, rows, row);
        add_row(row, factors, result, r, expected);
      }
    });
    operation();
    compare(expected, result, factors, {.dtype = result.dtype, .length = length, .stores = stores});
  }

  static void add_row(const ExpectedRow& row, const Values& factors, const MatrixView& result, std::int64_t r,
                      FactoredSums& sums) {
    for_each_block(result.dtype, result.columns,
                   [&](std::int64_t block, std::int64_t first, std::int64_t last) {
                     const auto place = static_cast<std::size_t>(block * result.rows + r);
                     for (auto c = static_cast<std::size_t>(first); c < static_cast<std::size_t>(last); ++c) {
                       sums.sums[place] += row.values[c] * factors[c];
                       sums.squares[place] += row.sizes[c] * row.sizes[c] * factors[c] * factors[c];
                     }
                   });
  }

  Values host(const MatrixView& x, std::int64_t row) {
    Values values;
    RowReader(x.row_slice(row, 1), *this).row_to(0, values);
    return values;
  }

  /// `expected` is of the rows of `result`, which an operation has just written.
  void compare(const FactoredSums& expected, const MatrixView& result, const Values& factors,
               Rounding rounding) {
    rounding.terms = columns_of_sums(result.dtype, result.columns);
    // What is smaller than the smallest normal number is rounded as if it were that.
    const double least = smallest_normal_of(result.dtype);
    const double least_squares = least * least * static_cast<double>(rounding.terms);
    errors_.add(error_of_sums(expected, row_sums(result, factors, *this), least_squares),
                operation_tolerance(rounding));
    heartbeat_.beat(Activity::compute);
  }

  OperationErrors& errors_;
  Heartbeat& heartbeat_;
  std::uint64_t calls_ = 0;
};

}  // namespace tpbench
