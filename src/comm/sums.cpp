#include "comm/sums.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "base/half.hpp"
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

// A line of elements in the type that they are added in, in registers: sums of many arrays read and write
// each array once.
template <typename T>
struct Line;
template <typename T>
struct PlainLine {
  static constexpr std::int64_t kCount = 64 / sizeof(T);
  typedef T Vector [[gnu::vector_size(64)]];  // NOLINT: `using` takes no such attribute
  Vector values;
  [[gnu::always_inline]] void load(const T* from) { std::memcpy(&values, from, sizeof(values)); }
  [[gnu::always_inline]] void add(const T* from) {
    Vector other;
    std::memcpy(&other, from, sizeof(other));
    values += other;
  }
  [[gnu::always_inline]] void store(T* to) const { std::memcpy(to, &values, sizeof(values)); }
};
template <>
struct Line<float> : PlainLine<float> {};
template <>
struct Line<double> : PlainLine<double> {};
template <>
struct Line<BFloat16> {
  static constexpr std::int64_t kCount = 16;
  typedef float Values [[gnu::vector_size(64)]];          // NOLINT
  typedef std::uint32_t Bits [[gnu::vector_size(64)]];    // NOLINT
  typedef std::uint16_t Narrow [[gnu::vector_size(32)]];  // NOLINT
  Values values;
  [[gnu::always_inline]] static void widen(const BFloat16* from, Values& to) {
    Narrow upper;
    std::memcpy(&upper, from, sizeof(upper));
    const Bits all = __builtin_convertvector(upper, Bits) << 16;
    std::memcpy(&to, &all, sizeof(to));
  }
  [[gnu::always_inline]] void load(const BFloat16* from) { widen(from, values); }
  [[gnu::always_inline]] void add(const BFloat16* from) {
    Values other;
    widen(from, other);
    values += other;
  }
  // As BFloat16 rounds.
  [[gnu::always_inline]] void store(BFloat16* to) const {
    Bits all;
    std::memcpy(&all, &values, sizeof(all));
    const Bits nearest = all + 0x7fffU + ((all >> 16) & 1U);
    const Bits rounded = (all & 0x7fffffffU) > 0x7f800000U ? all | 0x400000U : nearest;
    const Narrow upper = __builtin_convertvector(rounded >> 16, Narrow);
    std::memcpy(static_cast<void*>(to), &upper, sizeof(upper));
  }
};

// Elements [i, i + kLines lines) of each array: several lines at a time, as each takes a step through the
// arrays.
template <std::int64_t kLines, typename T>
[[gnu::always_inline]] inline void sum_some_lines(const ArraysOf<T>& values, const ArraysOf<T>& sums,
                                                  std::int64_t i) {
  constexpr std::int64_t kLine = Line<T>::kCount;
  Line<T> sum[kLines];
  for (std::int64_t l = 0; l < kLines; ++l) sum[l].load(values[0] + i + l * kLine);
  for (std::size_t r = 1; r < values.size(); ++r) {
    const T* value = values[r] + i;
    for (std::int64_t l = 0; l < kLines; ++l) sum[l].add(value + l * kLine);
  }
  for (std::size_t s = 0; s < sums.size(); ++s) {
    T* to = sums[s] + i;
    for (std::int64_t l = 0; l < kLines; ++l) sum[l].store(to + l * kLine);
  }
}

template <typename T>
[[gnu::always_inline]] inline void sum_lines(const ArraysOf<T>& values, const ArraysOf<T>& sums,
                                             std::int64_t count) {
  constexpr std::int64_t kLines = 4, kLine = Line<T>::kCount;
  std::int64_t i = 0;
  for (; i + kLines * kLine <= count; i += kLines * kLine) sum_some_lines<kLines>(values, sums, i);
  for (; i + kLine <= count; i += kLine) sum_some_lines<1>(values, sums, i);
  for (; i < count; ++i) {
    std::conditional_t<std::is_same_v<T, double>, double, float> sum = values[0][i];
    for (std::size_t r = 1; r < values.size(); ++r) sum += values[r][i];
    const T rounded(sum);
    for (std::size_t s = 0; s < sums.size(); ++s) sums[s][i] = rounded;
  }
}
TPBENCH_VECTORISE void sum(const ArraysOf<float>& values, const ArraysOf<float>& sums, std::int64_t count) {
  sum_lines(values, sums, count);
}
TPBENCH_VECTORISE void sum(const ArraysOf<double>& values, const ArraysOf<double>& sums, std::int64_t count) {
  sum_lines(values, sums, count);
}
TPBENCH_VECTORISE void sum(const ArraysOf<BFloat16>& values, const ArraysOf<BFloat16>& sums,
                           std::int64_t count) {
  sum_lines(values, sums, count);
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
      std::byte* const one = static_cast<std::byte*>(out);
      sum(ArraysOf<T>{arrays}, ArraysOf<T>{{&one, 1}}, count);
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
    const ArraysOf<T> values{arrays, slice.begin};
    sum(values, values, slice.count());
  });
}

}  // namespace tpbench
