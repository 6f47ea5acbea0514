#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "compute/backend.hpp"
#include "layers/layer.hpp"
#include "tensor/fill.hpp"
#include "workload/partition.hpp"

namespace tpbench {

/// The naive side of verification: plain loops over entries made anew by the generator, no BLAS and no MPI.

/// The type T that elements of a dtype are read in: double for f64, float for the others, which it holds
/// exactly. What is made of them is accumulated in a wider one: double for float, long double for double.
template <typename Function>
decltype(auto) dispatch_reference(DType dtype, Function&& function) {
  return dispatch_computed(dtype == DType::f64 ? DType::f64 : DType::f32, std::forward<Function>(function));
}
template <typename T>
struct Wider;
template <>
struct Wider<float> {
  using type = double;
};
template <>
struct Wider<double> {
  using type = long double;
};
template <typename T>
using WiderThan = typename Wider<T>::type;

/// Dense row-major rows of higher precision.
template <typename Real>
struct ReferenceRows {
  std::int64_t columns = 0;
  std::vector<Real> values;
  [[nodiscard]] std::size_t rows() const {
    return columns == 0 ? 0 : values.size() / static_cast<std::size_t>(columns);
  }
  [[nodiscard]] Real* row(std::size_t r) { return values.data() + static_cast<std::int64_t>(r) * columns; }
  [[nodiscard]] const Real* row(std::size_t r) const {
    return values.data() + static_cast<std::int64_t>(r) * columns;
  }
};

/// Zeros.
template <typename Real>
ReferenceRows<Real> zero_rows(std::size_t rows, std::int64_t columns) {
  return {columns, std::vector<Real>(rows * static_cast<std::size_t>(columns))};
}

/// Rows `rows`, columns `columns` of the tensor that `key` names, as elements of `dtype`.
template <typename T>
ReferenceRows<WiderThan<T>> generated_rows(DType dtype, const TensorKey& key,
                                           std::span<const std::int64_t> rows, Range columns);

/// begin, begin + 1, ... end - 1
std::vector<std::int64_t> all_rows(Range rows);

/// One entry of a generated tensor that is taken to be larger by `by`: what finite differences need.
struct Nudge {
  TensorKey key;
  std::int64_t row = 0, column = 0;
  double by = 0;
};

/// Products of rows with generated tensors of `dtype`, on all compute threads; shows signs of life.
template <typename T>
class ReferenceMath {
 public:
  using Real = WiderThan<T>;
  using Rows = ReferenceRows<Real>;

  ReferenceMath(DType dtype, Backend& backend, Heartbeat& heartbeat, const std::optional<Nudge>& nudge = {})
      : dtype_(dtype), backend_(backend), heartbeat_(heartbeat), nudge_(nudge) {}

  /// x [rows, k] times columns `columns` of the [k, ...] tensor that `key` names.
  Rows times(const Rows& x, const TensorKey& key, Range columns) const;
  /// x [rows, k] times the transpose of rows `rows` of the [..., k] tensor that `key` names: [rows,
  /// rows.size()]
  Rows times_transposed(const Rows& x, const TensorKey& key, Range rows) const;
  /// Columns `a_columns` of a [n, ...], transposed, times columns `b_columns` of b [n, ...].
  Rows transposed_times(const Rows& a, std::span<const std::int64_t> a_columns, const Rows& b,
                        Range b_columns) const;

  [[nodiscard]] Backend& backend() const { return backend_; }

 private:
  template <typename Work>
  void in_bites(std::size_t rows, double cost_per_row, const Work& work) const;
  void make_row(std::vector<T>& values, const TensorKey& key, std::int64_t row, std::int64_t column) const;

  DType dtype_;
  Backend& backend_;
  Heartbeat& heartbeat_;
  std::optional<Nudge> nudge_;
};

template <typename Real>
ReferenceTile as_tile(const ReferenceRows<Real>& rows) {
  return {rows.columns, {rows.values.begin(), rows.values.end()}};
}

/// The entries of `held`, which holds rows `held_rows` (sorted) of a whole tensor, at rows `rows` of the
/// whole and columns `columns`.
template <typename Real>
ReferenceTile tile_of(const ReferenceRows<Real>& held, std::span<const std::int64_t> held_rows,
                      std::span<const std::int64_t> rows, Range columns);

extern template ReferenceRows<double> generated_rows<float>(DType, const TensorKey&,
                                                            std::span<const std::int64_t>, Range);
extern template ReferenceRows<long double> generated_rows<double>(DType, const TensorKey&,
                                                                  std::span<const std::int64_t>, Range);
extern template ReferenceTile tile_of(const ReferenceRows<double>&, std::span<const std::int64_t>,
                                      std::span<const std::int64_t>, Range);
extern template ReferenceTile tile_of(const ReferenceRows<long double>&, std::span<const std::int64_t>,
                                      std::span<const std::int64_t>, Range);
extern template class ReferenceMath<float>;
extern template class ReferenceMath<double>;

}  // namespace tpbench
