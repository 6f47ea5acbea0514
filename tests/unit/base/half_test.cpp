#include "base/half.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "base/dtype.hpp"

namespace tpbench {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename T>
T from_bits(std::uint32_t bits) {
  T value{};
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}

// Sign, exponent and fraction taken apart: what IEEE 754 says a pattern means.
double meaning(std::uint32_t bits, int fraction_bits, int bias) {
  const std::uint32_t all_ones = (0x7fffU >> fraction_bits), exponent = (bits >> fraction_bits) & all_ones;
  const std::uint32_t fraction = bits & ((1U << fraction_bits) - 1);
  const double sign = (bits & 0x8000U) != 0 ? -1 : 1;
  if (exponent == all_ones) return fraction == 0 ? sign * HUGE_VAL : std::nan("");
  const double scale = std::ldexp(1.0, -fraction_bits);
  if (exponent == 0) return sign * std::ldexp(fraction * scale, 1 - bias);
  return sign * std::ldexp(1 + fraction * scale, static_cast<int>(exponent) - bias);
}
double meaning(Float16 value) { return meaning(value.bits, 10, 15); }
double meaning(BFloat16 value) { return meaning(value.bits, 7, 127); }

template <typename T>
class Half : public testing::Test {};
using HalfTypes = testing::Types<Float16, BFloat16>;
TYPED_TEST_SUITE(Half, HalfTypes);

TYPED_TEST(Half, EveryPatternMeansWhatItShouldAndComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const auto value = from_bits<TypeParam>(bits);
    const float wide = value;
    if (std::isnan(meaning(value))) {
      EXPECT_TRUE(std::isnan(wide)) << bits;
      EXPECT_TRUE(std::isnan(meaning(TypeParam(wide)))) << bits;
      continue;
    }
    ASSERT_EQ(static_cast<double>(wide), meaning(value)) << bits;
    ASSERT_EQ(std::signbit(wide), (bits & 0x8000U) != 0) << bits;
    ASSERT_EQ(TypeParam(wide).bits, bits);
  }
}

// Between each pair of neighbours: the one that is nearer, and of a tie the even one.
TYPED_TEST(Half, RoundsToTheNearest) {
  for (std::uint32_t bits = 0; bits < 0x7fffU; ++bits) {
    const auto low = from_bits<TypeParam>(bits), high = from_bits<TypeParam>(bits + 1);
    if (!std::isfinite(meaning(high))) break;
    const auto middle = static_cast<float>((meaning(low) + meaning(high)) / 2);  // one bit more: exact
    const std::uint32_t even = bits + bits % 2;
    for (const float sign : {1.0F, -1.0F}) {
      const std::uint32_t sign_bit = sign < 0 ? 0x8000U : 0;
      ASSERT_EQ(TypeParam(sign * middle).bits, even | sign_bit) << bits;
      ASSERT_EQ(TypeParam(sign * std::nextafter(middle, 0.0F)).bits, bits | sign_bit) << bits;
      ASSERT_EQ(TypeParam(sign * std::nextafter(middle, kInfinity)).bits, (bits + 1) | sign_bit) << bits;
    }
  }
}

TYPED_TEST(Half, KeepsWhatIsNoNumber) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::signaling_NaN(), std::bit_cast<float>(0x7fffffffU),
                            std::bit_cast<float>(0x7f800001U), std::bit_cast<float>(0xff800001U)}) {
    EXPECT_TRUE(std::isnan(meaning(TypeParam(value)))) << std::bit_cast<std::uint32_t>(value);
  }
  EXPECT_EQ(meaning(TypeParam(kInfinity)), HUGE_VAL);
  EXPECT_EQ(meaning(TypeParam(-kInfinity)), -HUGE_VAL);
}

TEST(Float16, OverflowsFromTheMiddleBehindItsLargest) {
  EXPECT_EQ(meaning(Float16(65504.0F)), 65504.0);
  EXPECT_EQ(meaning(Float16(std::nextafter(65520.0F, 0.0F))), 65504.0);
  EXPECT_EQ(meaning(Float16(65520.0F)), HUGE_VAL);
  EXPECT_EQ(meaning(Float16(-65520.0F)), -HUGE_VAL);
  EXPECT_EQ(meaning(Float16(std::numeric_limits<float>::max())), HUGE_VAL);
}

TEST(Float16, UnderflowsToZeroFromTheMiddleBeforeItsSmallest) {
  EXPECT_EQ(Float16(0x1p-25F).bits, 0U);
  EXPECT_EQ(Float16(-0x1p-25F).bits, 0x8000U);
  EXPECT_EQ(Float16(std::nextafter(0x1p-25F, 1.0F)).bits, 1U);
  EXPECT_EQ(Float16(std::numeric_limits<float>::denorm_min()).bits, 0U);
}

TEST(BFloat16, OverflowsFromTheMiddleBehindItsLargest) {
  const float largest = std::bit_cast<float>(0x7f7f0000U);
  EXPECT_EQ(meaning(BFloat16(std::bit_cast<float>(0x7f7f7fffU))), static_cast<double>(largest));
  EXPECT_EQ(meaning(BFloat16(std::bit_cast<float>(0x7f7f8000U))), HUGE_VAL);
  EXPECT_EQ(meaning(BFloat16(std::numeric_limits<float>::max())), HUGE_VAL);
}

TYPED_TEST(Half, RowsAreConvertedLikeSingleValues) {
  constexpr std::int64_t kCount = 1003;
  std::vector<float> values;
  for (std::int64_t i = 0; i < kCount; ++i)
    values.push_back(std::ldexp(std::sin(static_cast<float>(i * i)), static_cast<int>(i % 60) - 40));
  values[5] = std::nanf("");
  std::vector<TypeParam> narrow(kCount), sums(kCount);
  std::vector<float> wide(kCount), rounded = values;
  convert(values.data(), narrow.data(), kCount);
  convert(narrow.data(), wide.data(), kCount);
  sums = narrow;
  std::reverse(sums.begin(), sums.end());
  const std::vector<TypeParam> before = sums;
  add(sums.data(), narrow.data(), sums.data(), kCount);
  round_to(std::is_same_v<TypeParam, Float16> ? DType::f16 : DType::bf16, rounded.data(), kCount);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(narrow[i].bits, TypeParam(values[i]).bits);
    EXPECT_EQ(sums[i].bits, TypeParam(float(before[i]) + float(narrow[i])).bits);
    if (i == 5) continue;
    EXPECT_EQ(wide[i], float(narrow[i]));
    EXPECT_EQ(rounded[i], wide[i]);
  }
}

TEST(RoundTo, LeavesWhatIsStoredInFull) {
  for (const DType dtype : {DType::f32, DType::tf32}) {
    float value = 0.1F;
    round_to(dtype, &value, 1);
    EXPECT_EQ(value, 0.1F) << name_of(dtype);
  }
}

}  // namespace
}  // namespace tpbench
