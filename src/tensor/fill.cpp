#include "tensor/fill.hpp"

#include <algorithm>
#include <limits>

#include "base/vectorise.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tpbench {
namespace {

struct RowKey {
  std::uint32_t first;
  std::uint32_t second;
};

std::uint64_t mix64(std::uint64_t x) {  // the finaliser of splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

RowKey row_key(const TensorKey& key, std::int64_t row) {
  std::uint64_t state = mix64(key.seed + 0x9e3779b97f4a7c15U);
  state =
      mix64(state ^ (static_cast<std::uint64_t>(key.tensor) << 32) ^ static_cast<std::uint64_t>(key.layer));
  state = mix64(state + 0x9e3779b97f4a7c15U * (static_cast<std::uint64_t>(row) + 1));
  return {static_cast<std::uint32_t>(state), static_cast<std::uint32_t>(state >> 32)};
}

// 24 random bits as a signed fraction: exact in every floating-point type wider than half precision.
inline std::int32_t fraction24(std::uint32_t column, RowKey key) {
  std::uint32_t x = column * 0x9e3779b9U ^ key.first;
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x += key.second;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return static_cast<std::int32_t>(x) >> 8;
}

TPBENCH_VECTORISE void fill_f32(float* out, RowKey key, std::uint32_t column, std::int64_t count,
                                double scale) {
  const auto unit = static_cast<float>(scale * 0x1p-23);
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(fraction24(column + static_cast<std::uint32_t>(i), key)) * unit;
  }
}

TPBENCH_VECTORISE void fill_f64(double* out, RowKey key, std::uint32_t column, std::int64_t count,
                                double scale) {
  const double unit = scale * 0x1p-23;
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<double>(fraction24(column + static_cast<std::uint32_t>(i), key)) * unit;
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
