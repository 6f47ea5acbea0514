#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tpbench {

/// Two bytes of a float, to store values in: arithmetic is done in float, which holds each of them exactly.
/// From float they are rounded to the nearest, ties to even; too large becomes infinite, NaN stays NaN.
/// Bits and shifts rather than `_Float16`, which not every compiler of C++ has and few processors convert in
/// one instruction: plain loops over these are vectorised everywhere.

/// IEEE 754 binary16: 5 bits of exponent, 10 of fraction.
struct Float16 {
  std::uint16_t bits = 0;

  Float16() = default;
  constexpr explicit Float16(float value) : bits(rounded(value)) {}
  constexpr operator float() const {  // NOLINT: exact
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
    // The exponent's bias grows from 15 to 127; so scaled, subnormal numbers are right as well.
    const float magnitude = std::bit_cast<float>(static_cast<std::uint32_t>(bits & 0x7fffU) << 13) * 0x1p112F;
    const std::uint32_t special = (bits & 0x7c00U) == 0x7c00U ? 0x7f800000U : 0U;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | special | sign);
  }

 private:
  static constexpr std::uint16_t rounded(float value) {
    const std::uint32_t all = std::bit_cast<std::uint32_t>(value), magnitude = all & 0x7fffffffU;
    // Added to a half, a number below 2^-14 is rounded to multiples of 2^-24 by the addition itself.
    const bool is_small = magnitude < 0x38800000U;
    const float small = (is_small ? std::bit_cast<float>(magnitude) : 0.0F) + 0.5F;
    const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(small) - 0x3f000000U;
    const std::uint32_t odd = (magnitude >> 13) & 1U;
    const std::uint32_t normal = (magnitude - 0x38000000U + 0xfffU + odd) >> 13;
    const std::uint32_t finite = is_small ? subnormal : normal;
    const std::uint32_t not_a_number = 0x7e00U | ((magnitude >> 13) & 0x3ffU);
    const std::uint32_t special = magnitude > 0x7f800000U ? not_a_number : 0x7c00U;
    // 65520 and beyond would be rounded to 2^16, which is infinity.
    const std::uint32_t result = magnitude >= 0x477ff000U ? special : finite;
    return static_cast<std::uint16_t>(result | (all >> 16 & 0x8000U));
  }
};

/// The upper half of a float: 8 bits of exponent, 7 of fraction.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  constexpr explicit BFloat16(float value) : bits(rounded(value)) {}
  constexpr operator float() const {  // NOLINT: exact
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }

 private:
  static constexpr std::uint16_t rounded(float value) {
    const std::uint32_t all = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t nearest = all + 0x7fffU + ((all >> 16) & 1U);
    const std::uint32_t result = (all & 0x7fffffffU) > 0x7f800000U ? all | 0x400000U : nearest;
    return static_cast<std::uint16_t>(result >> 16);
  }
};

/// Rows of them, by vector instructions where there are any.
void convert(const float* from, Float16* to, std::int64_t count);
void convert(const float* from, BFloat16* to, std::int64_t count);
void convert(const Float16* from, float* to, std::int64_t count);
void convert(const BFloat16* from, float* to, std::int64_t count);

/// sum[i] = copy[i] = a[i] + b[i], added in float and rounded; each result is elsewhere, or exactly one of
/// the operands. Where the processor rounds to BFloat16 by itself, sums below the smallest normal number
/// become 0.
void add(const Float16* a, const Float16* b, Float16* sum, Float16* copy, std::int64_t count);
void add(const BFloat16* a, const BFloat16* b, BFloat16* sum, BFloat16* copy, std::int64_t count);
template <typename Narrow>
void add(const Narrow* a, const Narrow* b, Narrow* sum, std::int64_t count) {
  add(a, b, sum, sum, count);
}

/// Arrays of T, each from its element `first` on.
template <typename T>
struct ArraysOf {
  std::span<std::byte* const> arrays;
  std::int64_t first = 0;
  [[nodiscard]] std::size_t size() const { return arrays.size(); }
  T* operator[](std::size_t r) const { return reinterpret_cast<T*>(arrays[r]) + first; }
};

/// sums[s][i] = values[0][i] + values[1][i] + ..., added in float in this order and rounded once; each of the
/// sums is elsewhere, or exactly one of the values.
void sum(const ArraysOf<Float16>& values, const ArraysOf<Float16>& sums, std::int64_t count);

/// Each value becomes the nearest one of the type.
void round_to_float16(float* values, std::int64_t count);
void round_to_bfloat16(float* values, std::int64_t count);

}  // namespace tpbench
