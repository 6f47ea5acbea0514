#include "layers/reference.hpp"

#include <algorithm>
#include <numeric>

#include "base/vectorise.hpp"

namespace tpbench {
namespace {

// Overloads rather than templates: only these are compiled once per instruction set.
TPBENCH_VECTORISE void add_scaled(double* out, const float* row, double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += factor * static_cast<double>(row[i]);
}
TPBENCH_VECTORISE void add_scaled(double* out, const double* row, double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += factor * row[i];
}
void add_scaled(long double* out, const double* row, long double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += factor * static_cast<long double>(row[i]);
}
void add_scaled(long double* out, const long double* row, long double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += factor * row[i];
}

// Eight running sums, as a single one would wait for itself.
TPBENCH_VECTORISE double dot(const double* a, const float* b, std::int64_t count) {
  double sums[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (std::int64_t lane = 0; lane < 8; ++lane)
      sums[lane] += a[i + lane] * static_cast<double>(b[i + lane]);
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  for (; i < count; ++i) total += a[i] * static_cast<double>(b[i]);
  return total;
}
long double dot(const long double* a, const double* b, std::int64_t count) {
  long double total = 0;
  for (std::int64_t i = 0; i < count; ++i) total += a[i] * static_cast<long double>(b[i]);
  return total;
}

// Elements of `dtype` in the type that they are read in.
void make_elements(DType dtype, float* out, const TensorKey& key, std::int64_t row, std::int64_t column,
                   std::int64_t count) {
  fill_row(out, key, row, column, count);
  round_to(dtype, out, count);
}
void make_elements(DType, double* out, const TensorKey& key, std::int64_t row, std::int64_t column,
                   std::int64_t count) {
  fill_row(out, key, row, column, count);
}

}  // namespace

template <typename T>
ReferenceRows<WiderThan<T>> generated_rows(DType dtype, const TensorKey& key,
                                           std::span<const std::int64_t> rows, Range columns) {
  auto result = zero_rows<WiderThan<T>>(rows.size(), columns.size());
  std::vector<T> buffer(static_cast<std::size_t>(columns.size()));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    make_elements(dtype, buffer.data(), key, rows[r], columns.begin, columns.size());
    std::copy(buffer.begin(), buffer.end(), result.row(r));
  }
  return result;
}

std::vector<std::int64_t> all_rows(Range rows) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(rows.size()));
  std::iota(all.begin(), all.end(), rows.begin);
  return all;
}

// Rows are worked on in bites of a few seconds, with a sign of life after each.
template <typename T>
template <typename Work>
void ReferenceMath<T>::in_bites(std::size_t rows, double cost_per_row, const Work& work) const {
  constexpr double kBite = 2e9;  // multiply-adds
  const auto bite = static_cast<std::size_t>(std::max(1.0, kBite / std::max(1.0, cost_per_row)));
  for (std::size_t first = 0; first < rows; first += bite) {
    work(first, std::min(first + bite, rows));
    heartbeat_.beat(Activity::compute);
  }
}

template <typename T>
void ReferenceMath<T>::make_row(std::vector<T>& values, const TensorKey& key, std::int64_t row,
                                std::int64_t column) const {
  const auto count = static_cast<std::int64_t>(values.size());
  make_elements(dtype_, values.data(), key, row, column, count);
  if (!nudge_ || nudge_->row != row || nudge_->key.tensor != key.tensor || nudge_->key.layer != key.layer)
    return;
  const std::int64_t at = nudge_->column - column;
  if (at >= 0 && at < count) values[static_cast<std::size_t>(at)] += static_cast<T>(nudge_->by);
}

template <typename T>
auto ReferenceMath<T>::times(const Rows& x, const TensorKey& key, Range columns) const -> Rows {
  Rows result = zero_rows<Real>(x.rows(), columns.size());
  in_bites(x.rows(), static_cast<double>(x.columns * columns.size()),
           [&](std::size_t begin, std::size_t end) {
             backend_.parallel_for(columns.size(), [&](std::int64_t first, std::int64_t last) {
               std::vector<T> weights(static_cast<std::size_t>(last - first));
               for (std::int64_t k = 0; k < x.columns; ++k) {
                 make_row(weights, key, k, columns.begin + first);
                 for (std::size_t r = begin; r < end; ++r)
                   add_scaled(result.row(r) + first, weights.data(), x.row(r)[k], last - first);
               }
             });
           });
  return result;
}

template <typename T>
auto ReferenceMath<T>::times_transposed(const Rows& x, const TensorKey& key, Range rows) const -> Rows {
  Rows result = zero_rows<Real>(x.rows(), rows.size());
  in_bites(x.rows(), static_cast<double>(x.columns * rows.size()), [&](std::size_t begin, std::size_t end) {
    backend_.parallel_for(rows.size(), [&](std::int64_t first, std::int64_t last) {
      std::vector<T> weights(static_cast<std::size_t>(x.columns));
      for (std::int64_t k = first; k < last; ++k) {
        make_row(weights, key, rows.begin + k, 0);
        for (std::size_t r = begin; r < end; ++r) result.row(r)[k] = dot(x.row(r), weights.data(), x.columns);
      }
    });
  });
  return result;
}

template <typename T>
auto ReferenceMath<T>::transposed_times(const Rows& a, std::span<const std::int64_t> a_columns, const Rows& b,
                                        Range b_columns) const -> Rows {
  Rows result = zero_rows<Real>(a_columns.size(), b_columns.size());
  const double cost = static_cast<double>(a.rows()) * static_cast<double>(b_columns.size());
  in_bites(a_columns.size(), cost, [&](std::size_t begin, std::size_t end) {
    backend_.parallel_for(static_cast<std::int64_t>(end - begin), [&](std::int64_t first, std::int64_t last) {
      for (std::size_t k = begin + static_cast<std::size_t>(first);
           k < begin + static_cast<std::size_t>(last); ++k) {
        for (std::size_t n = 0; n < a.rows(); ++n)
          add_scaled(result.row(k), b.row(n) + b_columns.begin, a.row(n)[a_columns[k]], b_columns.size());
      }
    });
  });
  return result;
}

template <typename Real>
ReferenceTile tile_of(const ReferenceRows<Real>& held, std::span<const std::int64_t> held_rows,
                      std::span<const std::int64_t> rows, Range columns) {
  ReferenceTile tile{columns.size(), {}};
  for (const std::int64_t row : rows) {
    const auto place = std::lower_bound(held_rows.begin(), held_rows.end(), row) - held_rows.begin();
    const Real* values = held.row(static_cast<std::size_t>(place));
    tile.values.insert(tile.values.end(), values + columns.begin, values + columns.end);
  }
  return tile;
}

template ReferenceRows<double> generated_rows<float>(DType, const TensorKey&, std::span<const std::int64_t>,
                                                     Range);
template ReferenceRows<long double> generated_rows<double>(DType, const TensorKey&,
                                                           std::span<const std::int64_t>, Range);
template ReferenceTile tile_of(const ReferenceRows<double>&, std::span<const std::int64_t>,
                               std::span<const std::int64_t>, Range);
template ReferenceTile tile_of(const ReferenceRows<long double>&, std::span<const std::int64_t>,
                               std::span<const std::int64_t>, Range);
template class ReferenceMath<float>;
template class ReferenceMath<double>;

}  // namespace tpbench
