#include "tensor/fill.hpp"

#include <algorithm>
#include <limits>

#include "base/vectorise.hpp"
#include "tensor/fill_formulas.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tpbench {
namespace {

TPBENCH_VECTORISE void fill_f32(float* out, RowKey key, std::uint32_t column, std::int64_t count,
                                double scale) {
  const auto unit = fill_unit<float>(scale);
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = fill_value(column + static_cast<std::uint32_t>(i), key, unit);
  }
}

TPBENCH_VECTORISE void fill_f64(double* out, RowKey key, std::uint32_t column, std::int64_t count,
                                double scale) {
  const auto unit = fill_unit<double>(scale);
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = fill_value(column + static_cast<std::uint32_t>(i), key, unit);
  }
}

// In pieces that stay in the first cache.
template <typename T>
void fill_rounded(T* out, const TensorKey& key, std::int64_t row, std::int64_t column, std::int64_t count) {
  constexpr std::int64_t kPiece = 1024;
  float values[kPiece];
  for (std::int64_t first = 0; first < count; first += kPiece) {
    const std::int64_t size = std::min(kPiece, count - first);
    fill_row(values, key, row, column + first, size);
    convert(values, out + first, size);
  }
}

}  // namespace

void fill_row(float* out, const TensorKey& key, std::int64_t row, std::int64_t column, std::int64_t count) {
  fill_f32(out, row_key(key, row), static_cast<std::uint32_t>(column), count, key.scale);
}

void fill_row(double* out, const TensorKey& key, std::int64_t row, std::int64_t column, std::int64_t count) {
  fill_f64(out, row_key(key, row), static_cast<std::uint32_t>(column), count, key.scale);
}

void fill_row(Float16* out, const TensorKey& key, std::int64_t row, std::int64_t column, std::int64_t count) {
  fill_rounded(out, key, row, column, count);
}

void fill_row(BFloat16* out, const TensorKey& key, std::int64_t row, std::int64_t column,
              std::int64_t count) {
  fill_rounded(out, key, row, column, count);
}

void fill_rows(const MatrixView& matrix, const TensorKey& key, std::int64_t row, std::int64_t column,
               std::int64_t first, std::int64_t last) {
  dispatch(matrix.dtype, [&](auto zero) {
    for (std::int64_t r = first; r < last; ++r) {
      fill_row(static_cast<decltype(zero)*>(matrix.row(r)), key, row + r, column, matrix.columns);
    }
  });
}

void poison(const MatrixView& matrix) {
  dispatch(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t r = 0; r < matrix.rows; ++r) {
      auto* out = static_cast<T*>(matrix.row(r));
      std::fill_n(out, matrix.columns, T(std::numeric_limits<float>::quiet_NaN()));
    }
  });
}

bool flush_from_caches(const void* data, std::int64_t bytes) {
  constexpr std::int64_t kLine = 64;
  const auto* line = static_cast<const char*>(data);
#if defined(__x86_64__)
  for (std::int64_t i = 0; i < bytes; i += kLine) _mm_clflush(line + i);
  _mm_mfence();
  return true;
#elif defined(__aarch64__)
  for (std::int64_t i = 0; i < bytes; i += kLine) asm volatile("dc civac, %0" ::"r"(line + i) : "memory");
  asm volatile("dsb ish" ::: "memory");
  return true;
#else
  (void)line;
  (void)bytes;
  return false;
#endif
}

}  // namespace tpbench
