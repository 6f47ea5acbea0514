#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compute/backend.hpp"
#include "tensor/fill.hpp"
#include "workload/partition.hpp"

namespace tpbench {

/// The naive side of verification: plain loops over entries made anew by the generator, no BLAS and no MPI.

/// Accumulates in a wider type than the elements have: double for float, long double for double.
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

/// Dense row-major rows of higher precision.
template <typename Real>
struct ReferenceRows {
  std::int64_t columns = 0;
  std::vector<Real> values;
  [[nodiscard]] Real* row(std::size_t r) { return values.data() + static_cast<std::int64_t>(r) * columns; }
  [[nodiscard]] const Real* row(std::size_t r) const {
    return values.data() + static_cast<std::int64_t>(r) * columns;
  }
};

/// Rows `rows`, columns `columns` of the tensor that `key` names.
template <typename T>
ReferenceRows<typename Wider<T>::type> generated_rows(const TensorKey& key,
                                                      std::span<const std::int64_t> rows, Range columns);

/// x [rows, k] times columns `columns` of the [k, ...] tensor that `key` names.
template <typename T>
ReferenceRows<typename Wider<T>::type> times_generated(const ReferenceRows<typename Wider<T>::type>& x,
                                                       const TensorKey& key, Range columns, Backend& backend);

/// Signs +1 or -1 for columns [0, count): the random vector of the row-sum check.
std::vector<double> random_signs(std::uint64_t seed, std::int64_t count);

/// For each row in `rows` of the tensor `key`: the sum over `columns` of entry times signs[column].
std::vector<double> generated_times_signs(DType dtype, const TensorKey& key, Range rows, Range columns,
                                          std::span<const double> signs, Backend& backend);

/// For each row of `matrix`: the sum over columns of entry times factors[column]; there may be more factors
/// than columns.
std::vector<double> times_signs(const MatrixView& matrix, std::span<const double> factors, Backend& backend);

/// Sum over columns of row[c] * factors[c].
double dot_row(const void* row, DType dtype, std::span<const double> factors);

extern template ReferenceRows<double> generated_rows<float>(const TensorKey&, std::span<const std::int64_t>,
                                                            Range);
extern template ReferenceRows<long double> generated_rows<double>(const TensorKey&,
                                                                  std::span<const std::int64_t>, Range);
extern template ReferenceRows<double> times_generated<float>(const ReferenceRows<double>&, const TensorKey&,
                                                             Range, Backend&);
extern template ReferenceRows<long double> times_generated<double>(const ReferenceRows<long double>&,
                                                                   const TensorKey&, Range, Backend&);

}  // namespace tpbench
