#include "base/half.hpp"

#include <algorithm>
#include <array>

#include "base/vectorise.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(TPBENCH_SANITIZED)
#define TPBENCH_HALF_INSTRUCTIONS
#include <immintrin.h>
#endif

namespace tpbench {
namespace {

// Loops that the compiler makes vectors of where the processor has no instruction for it.
TPBENCH_VECTORISE void convert_all(const float* from, Float16* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = Float16(from[i]);
}
TPBENCH_VECTORISE void convert_all(const Float16* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
}
TPBENCH_VECTORISE void add_rows(const float* a, const float* b, float* sum, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) sum[i] = a[i] + b[i];
}

// Both operands in f32 beside them, a piece at a time that stays in the first-level cache.
template <typename T>
void add_in_pieces(const T* a, const T* b, T* sum, T* copy, std::int64_t count) {
  constexpr std::int64_t kPiece = 1024;
  alignas(64) float left[kPiece], right[kPiece];
  for (std::int64_t first = 0; first < count; first += kPiece) {
    const std::int64_t size = std::min(kPiece, count - first);
    convert(a + first, left, size);
    convert(b + first, right, size);
    add_rows(left, right, left, size);
    convert(left, sum + first, size);
    if (copy != sum) convert(left, copy + first, size);
  }
}

#ifdef TPBENCH_HALF_INSTRUCTIONS

// The instructions round as Float16 does.
bool converts_float16() {
  static const bool kHas = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("f16c") != 0;
  return kHas;
}
bool converts_bfloat16() {
  static const bool kHas =
      __builtin_cpu_supports("avx512bf16") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  return kHas;
}

#define TPBENCH_F16C [[gnu::target("avx2,f16c")]]
constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

TPBENCH_F16C inline __m256 load(const Float16* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
TPBENCH_F16C inline void store(__m256 values, Float16* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(values, kNearest));
}

// These return how many they have done: whole vectors.
constexpr std::int64_t kVector = 8;
TPBENCH_F16C std::int64_t convert_vectors(const Float16* from, float* to, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + kVector <= count; i += kVector) _mm256_storeu_ps(to + i, load(from + i));
  return i;
}
TPBENCH_F16C std::int64_t convert_vectors(const float* from, Float16* to, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + kVector <= count; i += kVector) store(_mm256_loadu_ps(from + i), to + i);
  return i;
}
TPBENCH_F16C std::int64_t add_vectors(const Float16* a, const Float16* b, Float16* sum, Float16* copy,
                                      std::int64_t count) {
  std::int64_t i = 0;
  for (; i + kVector <= count; i += kVector) {
    const __m128i sums = _mm256_cvtps_ph(_mm256_add_ps(load(a + i), load(b + i)), kNearest);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sum + i), sums);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(copy + i), sums);
  }
  return i;
}

// Several vectors at a time, as each takes a step through the arrays.
template <int kVectors>
TPBENCH_F16C inline void sum_some_vectors(const ArraysOf<Float16>& values, const ArraysOf<Float16>& sums,
                                          std::int64_t i) {
  __m256 sum[kVectors];
  for (int v = 0; v < kVectors; ++v) sum[v] = load(values[0] + i + v * kVector);
  for (std::size_t r = 1; r < values.size(); ++r) {
    const Float16* value = values[r] + i;
    for (int v = 0; v < kVectors; ++v) sum[v] = _mm256_add_ps(sum[v], load(value + v * kVector));
  }
  __m128i rounded[kVectors];
  for (int v = 0; v < kVectors; ++v) rounded[v] = _mm256_cvtps_ph(sum[v], kNearest);
  for (std::size_t s = 0; s < sums.size(); ++s) {
    Float16* to = sums[s] + i;
    for (int v = 0; v < kVectors; ++v)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + v * kVector), rounded[v]);
  }
}
TPBENCH_F16C std::int64_t sum_vectors(const ArraysOf<Float16>& values, const ArraysOf<Float16>& sums,
                                      std::int64_t count) {
  constexpr int kVectors = 8;
  std::int64_t i = 0;
  for (; i + kVectors * kVector <= count; i += kVectors * kVector)
    sum_some_vectors<kVectors>(values, sums, i);
  for (; i + kVector <= count; i += kVector) sum_some_vectors<1>(values, sums, i);
  return i;
}

#define TPBENCH_AVX512_BF16 [[gnu::target("avx512f,avx512bw,avx512vl,avx512bf16")]]
// 32 at a time: those with even and those with odd places are the halves of 16 words, and become floats by
// one instruction each; a permutation puts the rounded sums back in order. On AMD's cores (Zen 4) shifts and
// permutations wait for the same two pipes while multipliers are idle: one operand is multiplied by 2^16
// there, which takes 12 % off the whole. On Intel's a product of integers takes longer than a shift.
template <bool kMultiplies>
TPBENCH_AVX512_BF16 std::int64_t add_bf16_vectors(const BFloat16* a, const BFloat16* b, BFloat16* sum,
                                                  BFloat16* copy, std::int64_t count) {
  constexpr std::int64_t kPlaces = 32;
  constexpr __mmask16 kAll = 0xffff;  // g++ 12 warns of what the forms without a mask leave undefined
  alignas(64) static const auto kOrder = [] {
    std::array<std::uint16_t, kPlaces> order{};
    for (std::size_t i = 0; i < order.size(); ++i)
      order[i] = static_cast<std::uint16_t>(i / 2 + (i % 2) * 16);
    return order;
  }();
  const __m512i order = _mm512_load_si512(kOrder.data()), upper = _mm512_set1_epi32(-0x10000);
  __m512i two_to_16 = _mm512_set1_epi32(0x10000);
  asm("" : "+v"(two_to_16));  // the compiler makes a shift of a product with a constant
  std::int64_t i = 0;
  for (; i + kPlaces <= count; i += kPlaces) {
    const __m512i x = _mm512_loadu_si512(a + i), y = _mm512_loadu_si512(b + i);
    const __m512i even_x =
        kMultiplies ? _mm512_mullo_epi32(x, two_to_16) : _mm512_maskz_slli_epi32(kAll, x, 16);
    const __m512 even =
        _mm512_add_ps(_mm512_castsi512_ps(even_x), _mm512_castsi512_ps(_mm512_maskz_slli_epi32(kAll, y, 16)));
    const __m512 odd = _mm512_add_ps(_mm512_castsi512_ps(_mm512_and_si512(x, upper)),
                                     _mm512_castsi512_ps(_mm512_and_si512(y, upper)));
    const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(odd, even));
    const __m512i sums = _mm512_maskz_permutexvar_epi16(0xffffffffU, order, both);
    _mm512_storeu_si512(static_cast<void*>(sum + i), sums);
    _mm512_storeu_si512(static_cast<void*>(copy + i), sums);
  }
  return i;
}

#endif

template <typename From, typename To>
void convert_float16(const From* from, To* to, std::int64_t count) {
  std::int64_t done = 0;
#ifdef TPBENCH_HALF_INSTRUCTIONS
  if (converts_float16()) done = convert_vectors(from, to, count);
#endif
  convert_all(from + done, to + done, count - done);
}

}  // namespace

void convert(const float* from, Float16* to, std::int64_t count) { convert_float16(from, to, count); }
void convert(const Float16* from, float* to, std::int64_t count) { convert_float16(from, to, count); }
TPBENCH_VECTORISE void convert(const float* from, BFloat16* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = BFloat16(from[i]);
}
TPBENCH_VECTORISE void convert(const BFloat16* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
}

void add(const Float16* a, const Float16* b, Float16* sum, Float16* copy, std::int64_t count) {
  std::int64_t done = 0;
#ifdef TPBENCH_HALF_INSTRUCTIONS
  if (converts_float16()) done = add_vectors(a, b, sum, copy, count);
#endif
  add_in_pieces(a + done, b + done, sum + done, copy + done, count - done);
}
void add(const BFloat16* a, const BFloat16* b, BFloat16* sum, BFloat16* copy, std::int64_t count) {
  std::int64_t done = 0;
#ifdef TPBENCH_HALF_INSTRUCTIONS
  static const bool kMultiplies = __builtin_cpu_is("amd") != 0;
  if (converts_bfloat16() && kMultiplies)
    done = add_bf16_vectors<true>(a, b, sum, copy, count);
  else if (converts_bfloat16())
    done = add_bf16_vectors<false>(a, b, sum, copy, count);
#endif
  add_in_pieces(a + done, b + done, sum + done, copy + done, count - done);
}

void sum(const ArraysOf<Float16>& values, const ArraysOf<Float16>& sums, std::int64_t count) {
  std::int64_t i = 0;
#ifdef TPBENCH_HALF_INSTRUCTIONS
  if (converts_float16()) i = sum_vectors(values, sums, count);
#endif
  for (; i < count; ++i) {
    float sum = values[0][i];
    for (std::size_t r = 1; r < values.size(); ++r) sum += values[r][i];
    const Float16 rounded(sum);
    for (std::size_t s = 0; s < sums.size(); ++s) sums[s][i] = rounded;
  }
}

TPBENCH_VECTORISE void round_to_float16(float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) values[i] = Float16(values[i]);
}
TPBENCH_VECTORISE void round_to_bfloat16(float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) values[i] = BFloat16(values[i]);
}

}  // namespace tpbench
