#include "comm/sums.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "base/vectorise.hpp"

namespace tpbench {
namespace {

// `out` is nowhere, or exactly, one of the operands: no iteration reads what another has written.
TPBENCH_VECTORISE void add(const float* a, const float* b, float* out, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) out[i] = a[i] + b[i];
}
TPBENCH_VECTORISE void add(const double* a, const double* b, double* out, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) out[i] = a[i] + b[i];
}
// The types of two bytes have their own (base/half.hpp).
using tpbench::add;
TPBENCH_VECTORISE void add_both(float* a, float* b, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) a[i] = b[i] = a[i] + b[i];
}
TPBENCH_VECTORISE void add_both(double* a, double* b, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) a[i] = b[i] = a[i] + b[i];
}

template <typename T>
void add_both(T* a, T* b, std::int64_t count) {
  add(a, b, a, b, count);
}

constexpr std::int64_t kBlockBytes = 16 << 10;  // stays in the first cache while further arrays are added

// Elements in the type that they are added in.
inline const float* in_sum_type(const float* values, float*, std::int64_t) { return values; }
inline const double* in_sum_type(const double* values, double*, std::int64_t) { return values; }
template <typename T>
const float* in_sum_type(const T* values, float* place, std::int64_t count) {
  convert(values, place, count);
  return place;
}
// Calls `done(first, count, sum)` with the sum of each block of [0, count): of types of two bytes in f32,
// rounded once.
template <typename T, typename Done>
void for_each_block_sum(std::span<std::byte* const> arrays, std::int64_t begin, std::int64_t count,
                        const Done& done) {
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
  constexpr std::int64_t kBlock = kBlockBytes / static_cast<std::int64_t>(sizeof(Sum));
  alignas(64) Sum sum[kBlock], left[kBlock], right[kBlock];
  alignas(64) T rounded[kBlock];
  const auto at = [&](std::size_t r, std::int64_t first) {
    return reinterpret_cast<const T*>(arrays[r]) + begin + first;
  };
  for (std::int64_t first = 0; first < count; first += kBlock) {
    const std::int64_t size = std::min(kBlock, count - first);
    add(in_sum_type(at(0, first), left, size), in_sum_type(at(1, first), right, size), sum, size);
    for (std::size_t r = 2; r < arrays.size(); ++r)
      add(static_cast<const Sum*>(sum), in_sum_type(at(r, first), right, size), sum, size);
    if constexpr (std::is_same_v<T, Sum>) {
      done(first, size, sum);
    } else {
      convert(sum, rounded, size);
      done(first, size, rounded);
    }
  }
}

template <typename T>
std::size_t bytes_of(std::int64_t count) {
  return static_cast<std::size_t>(count) * sizeof(T);
}

}  // namespace

Slice slice_of(std::int64_t count, DType dtype, int parts, int index) {
  const std::int64_t line = 64 / size_of(dtype);
  const std::int64_t lines = (count + line - 1) / line;
  const auto cut = [&](std::int64_t part) { return std::min(count, lines * part / parts * line); };
  return {cut(index), cut(index + 1)};
}

void sum_into(void* out, std::span<std::byte* const> arrays, std::int64_t count, DType dtype) {
  if (count <= 0) return;
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    if (arrays.size() == 1) {
      std::memmove(out, arrays[0], bytes_of<T>(count));
    } else if (arrays.size() == 2) {
      add(reinterpret_cast<const T*>(arrays[0]), reinterpret_cast<const T*>(arrays[1]), static_cast<T*>(out),
          count);
    } else {
      for_each_block_sum<T>(arrays, 0, count, [&](std::int64_t first, std::int64_t size, const T* sum) {
        std::memcpy(static_cast<T*>(out) + first, sum, bytes_of<T>(size));
      });
    }
  });
}

void max_into(void* out, std::span<std::byte* const> arrays, std::int64_t count, DType dtype) {
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < count; ++i) {
      T largest = reinterpret_cast<const T*>(arrays[0])[i];
      for (const std::byte* array : arrays) largest = std::max(largest, reinterpret_cast<const T*>(array)[i]);
      static_cast<T*>(out)[i] = largest;
    }
  });
}

void sum_into_all(std::span<std::byte* const> arrays, Slice slice, DType dtype) {
  if (slice.count() <= 0 || arrays.size() == 1) return;
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    if (arrays.size() == 2) {
      add_both(reinterpret_cast<T*>(arrays[0]) + slice.begin, reinterpret_cast<T*>(arrays[1]) + slice.begin,
               slice.count());
      return;
    }
    for_each_block_sum<T>(
        arrays, slice.begin, slice.count(), [&](std::int64_t first, std::int64_t size, const T* sum) {
          for (std::byte* array : arrays) {
            std::memcpy(reinterpret_cast<T*>(array) + slice.begin + first, sum, bytes_of<T>(size));
          }
        });
  });
}

}  // namespace tpbench
