#include "layers/reference.hpp"

#include "base/vectorise.hpp"

namespace tpbench {
namespace {

// Overloads rather than a template: only these are compiled once per instruction set.
TPBENCH_VECTORISE void add_scaled(double* out, const float* row, double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += factor * static_cast<double>(row[i]);
}

void add_scaled(long double* out, const double* row, long double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += factor * static_cast<long double>(row[i]);
}

// Eight running sums, as a single one would wait for itself.
template <typename T>
[[gnu::always_inline]] inline double dot(const T* row, const double* factors, std::int64_t count) {
  double sums[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (std::int64_t lane = 0; lane < 8; ++lane)
      sums[lane] += static_cast<double>(row[i + lane]) * factors[i + lane];
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  for (; i < count; ++i) total += static_cast<double>(row[i]) * factors[i];
  return total;
}

TPBENCH_VECTORISE double dot_f32(const float* row, const double* factors, std::int64_t count) {
  return dot(row, factors, count);
}
TPBENCH_VECTORISE double dot_f64(const double* row, const double* factors, std::int64_t count) {
  return dot(row, factors, count);
}

}  // namespace

template <typename T>
ReferenceRows<typename Wider<T>::type> generated_rows(const TensorKey& key,
                                                      std::span<const std::int64_t> rows, Range columns) {
  using Real = typename Wider<T>::type;
  ReferenceRows<Real> result{columns.size(),
                             std::vector<Real>(rows.size() * static_cast<std::size_t>(columns.size()))};
  std::vector<T> buffer(static_cast<std::size_t>(columns.size()));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    fill_row(buffer.data(), key, rows[r], columns.begin, columns.size());
    std::copy(buffer.begin(), buffer.end(), result.row(r));
  }
  return result;
}

template <typename T>
ReferenceRows<typename Wider<T>::type> times_generated(const ReferenceRows<typename Wider<T>::type>& x,
                                                       const TensorKey& key, Range columns,
                                                       Backend& backend) {
  using Real = typename Wider<T>::type;
  const std::size_t rows = x.columns == 0 ? 0 : x.values.size() / static_cast<std::size_t>(x.columns);
  ReferenceRows<Real> result{columns.size(),
                             std::vector<Real>(rows * static_cast<std::size_t>(columns.size()))};
  backend.parallel_for(columns.size(), [&](std::int64_t first, std::int64_t last) {
    std::vector<T> weights(static_cast<std::size_t>(last - first));
    for (std::int64_t k = 0; k < x.columns; ++k) {
      fill_row(weights.data(), key, k, columns.begin + first, last - first);
      for (std::size_t r = 0; r < rows; ++r) {
        add_scaled(result.row(r) + first, weights.data(), x.row(r)[k], last - first);
      }
    }
  });
  return result;
}

std::vector<double> random_signs(std::uint64_t seed, std::int64_t count) {
  constexpr std::uint32_t kSignTensor = 0x51695;
  std::vector<double> signs(static_cast<std::size_t>(count));
  fill_row(signs.data(), {.seed = seed, .tensor = kSignTensor}, 0, 0, count);
  for (double& sign : signs) sign = sign < 0 ? -1 : 1;
  return signs;
}

std::vector<double> generated_times_signs(DType dtype, const TensorKey& key, Range rows, Range columns,
                                          std::span<const double> signs, Backend& backend) {
  std::vector<double> sums(static_cast<std::size_t>(rows.size()));
  dispatch(dtype, [&](auto zero) {
    backend.parallel_for(rows.size(), [&](std::int64_t first, std::int64_t last) {
      std::vector<decltype(zero)> buffer(static_cast<std::size_t>(columns.size()));
      for (std::int64_t r = first; r < last; ++r) {
        fill_row(buffer.data(), key, rows.begin + r, columns.begin, columns.size());
        sums[static_cast<std::size_t>(r)] = dot_row(
            buffer.data(), dtype, signs.subspan(static_cast<std::size_t>(columns.begin), buffer.size()));
      }
    });
  });
  return sums;
}

std::vector<double> times_signs(const MatrixView& matrix, std::span<const double> factors, Backend& backend) {
  std::vector<double> sums;
  const auto local = factors.first(static_cast<std::size_t>(matrix.columns));
  std::vector<std::byte> scratch(static_cast<std::size_t>(matrix.columns * size_of(matrix.dtype)));
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    sums.push_back(dot_row(backend.host_row(matrix, r, scratch), matrix.dtype, local));
  }
  return sums;
}

double dot_row(const void* row, DType dtype, std::span<const double> factors) {
  const auto count = static_cast<std::int64_t>(factors.size());
  return dtype == DType::f32 ? dot_f32(static_cast<const float*>(row), factors.data(), count)
                             : dot_f64(static_cast<const double*>(row), factors.data(), count);
}

template ReferenceRows<double> generated_rows<float>(const TensorKey&, std::span<const std::int64_t>, Range);
template ReferenceRows<long double> generated_rows<double>(const TensorKey&, std::span<const std::int64_t>,
                                                           Range);
template ReferenceRows<double> times_generated<float>(const ReferenceRows<double>&, const TensorKey&, Range,
                                                      Backend&);
template ReferenceRows<long double> times_generated<double>(const ReferenceRows<long double>&,
                                                            const TensorKey&, Range, Backend&);

}  // namespace tpbench
