#include "comm/sums.hpp"

#include <algorithm>
#include <cstring>

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
TPBENCH_VECTORISE void add_both(float* a, float* b, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) a[i] = b[i] = a[i] + b[i];
}
TPBENCH_VECTORISE void add_both(double* a, double* b, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) a[i] = b[i] = a[i] + b[i];
}

constexpr std::int64_t kBlockBytes = 16 << 10;  // stays in the first cache while further arrays are added

// Calls `done(first, count, sum)` with the sum of each block of [0, count).
template <typename T, typename Done>
void for_each_block_sum(std::span<std::byte* const> arrays, std::int64_t begin, std::int64_t count,
                        const Done& done) {
  constexpr std::int64_t kBlock = kBlockBytes / static_cast<std::int64_t>(sizeof(T));
  alignas(64) T sum[kBlock];
  const auto at = [&](std::size_t r, std::int64_t first) {
    return reinterpret_cast<const T*>(arrays[r]) + begin + first;
  };
  for (std::int64_t first = 0; first < count; first += kBlock) {
    const std::int64_t size = std::min(kBlock, count - first);
    add(at(0, first), at(1, first), sum, size);
    for (std::size_t r = 2; r < arrays.size(); ++r) add(sum, at(r, first), sum, size);
    done(first, size, sum);
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
  dispatch_computed(dtype, [&](auto zero) {
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
  dispatch_computed(dtype, [&](auto zero) {
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
  dispatch_computed(dtype, [&](auto zero) {
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
