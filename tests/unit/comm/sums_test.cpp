#include "comm/sums.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

namespace tpbench {
namespace {

template <typename T>
class Sums : public testing::Test {};
using Types = testing::Types<float, double, Float16, BFloat16>;
TYPED_TEST_SUITE(Sums, Types);

template <typename T>
DType type_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  if constexpr (std::is_same_v<T, double>) return DType::f64;
  return std::is_same_v<T, Float16> ? DType::f16 : DType::bf16;
}

// Of two arrays, bfloat16 below the smallest normal number may become 0: there none is so small.
template <typename T>
T value_of(std::mt19937& random, bool is_special) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float kSpecial[] = {kInfinity, -kInfinity, std::nanf(""), 0x1p-130F, -0.0F, 65504.0F, 3e38F};
  if (is_special && random() % 8 == 0) return T(kSpecial[random() % std::size(kSpecial)]);
  return T(std::ldexp(static_cast<float>(random() % 4096) - 2047.5F, static_cast<int>(random() % 24) - 20));
}

// In the order of the arrays, rounded once.
template <typename T>
std::vector<T> naive_sum(const std::vector<std::vector<T>>& arrays) {
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
  std::vector<T> sums(arrays[0].size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    Sum sum = arrays[0][i];
    for (std::size_t r = 1; r < arrays.size(); ++r) sum += arrays[r][i];
    sums[i] = T(sum);
  }
  return sums;
}

template <typename T>
bool same_bits(const T* a, const T* b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const bool nan = std::isnan(static_cast<double>(a[i])) && std::isnan(static_cast<double>(b[i]));
    if (!nan && std::memcmp(a + i, b + i, sizeof(T)) != 0) return false;
  }
  return true;
}

template <typename T>
std::vector<std::byte*> pointers_to(std::vector<std::vector<T>>& arrays) {
  std::vector<std::byte*> pointers;
  for (std::vector<T>& array : arrays) pointers.push_back(reinterpret_cast<std::byte*>(array.data()));
  return pointers;
}

TYPED_TEST(Sums, AreThoseOfALoopWhereverTheyGo) {
  std::mt19937 random(1);
  for (const std::size_t ranks : {1U, 2U, 3U, 4U, 7U, 9U}) {
    for (const std::size_t count : {1U, 7U, 16U, 33U, 127U, 128U, 129U, 1003U}) {
      SCOPED_TRACE(std::to_string(ranks) + " arrays of " + std::to_string(count));
      std::vector<std::vector<TypeParam>> arrays(ranks, std::vector<TypeParam>(count + 1));
      for (auto& array : arrays) {
        for (TypeParam& value : array) value = value_of<TypeParam>(random, ranks > 2);
      }
      const std::vector<TypeParam> expected = naive_sum(arrays);
      const std::vector<std::vector<TypeParam>> before = arrays;
      const auto whole = static_cast<std::int64_t>(count);

      std::vector<TypeParam> out(count + 1, TypeParam(7.0F));
      sum_into(out.data(), pointers_to(arrays), whole, type_of<TypeParam>());
      EXPECT_TRUE(same_bits(out.data(), expected.data(), count));
      EXPECT_EQ(static_cast<float>(out[count]), 7.0F);

      sum_into(arrays.back().data(), pointers_to(arrays), whole, type_of<TypeParam>());
      EXPECT_TRUE(same_bits(arrays.back().data(), expected.data(), count));
      arrays = before;

      const Slice slice = {whole / 3, whole};
      sum_into_all(pointers_to(arrays), slice, type_of<TypeParam>());
      const auto first = static_cast<std::size_t>(slice.begin);
      for (std::size_t r = 0; r < ranks; ++r) {
        EXPECT_TRUE(same_bits(arrays[r].data(), before[r].data(), first));
        EXPECT_TRUE(same_bits(arrays[r].data() + first, expected.data() + first, count - first));
        EXPECT_TRUE(same_bits(&arrays[r][count], &before[r][count], 1));
      }
    }
  }
}

}  // namespace
}  // namespace tpbench
