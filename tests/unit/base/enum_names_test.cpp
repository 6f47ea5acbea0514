#include "base/enum_names.hpp"

#include <gtest/gtest.h>

#include "base/dtype.hpp"

namespace tpbench {
namespace {

enum class Fruit { apple, pear, unnamed };

}  // namespace
}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Fruit, {tpbench::Fruit::apple, "apple"}, {tpbench::Fruit::pear, "pear"});

namespace tpbench {
namespace {

TEST(EnumNames, GoBothWays) {
  EXPECT_EQ(name_of(Fruit::apple), "apple");
  EXPECT_EQ(enum_from_name<Fruit>("pear"), Fruit::pear);
  EXPECT_EQ(name_of(Fruit::unnamed), "?");
  static_assert(name_of(Fruit::pear) == "pear");
}

TEST(EnumNames, AreExact) {
  EXPECT_EQ(enum_from_name<Fruit>("Apple"), std::nullopt);
  EXPECT_EQ(enum_from_name<Fruit>("app"), std::nullopt);
  EXPECT_EQ(enum_from_name<Fruit>(""), std::nullopt);
}

TEST(DType, KnowsItsSizeAndItsEpsilon) {
  EXPECT_EQ(size_of(DType::f32), 4);
  EXPECT_EQ(size_of(DType::f64), 8);
  EXPECT_EQ(epsilon_of(DType::f32), static_cast<double>(std::numeric_limits<float>::epsilon()));
  EXPECT_EQ(epsilon_of(DType::f64), std::numeric_limits<double>::epsilon());
  EXPECT_EQ(enum_from_name<DType>("f64"), DType::f64);
}

TEST(DType, DispatchesToTheTypeItNames) {
  for (const DType dtype : {DType::f32, DType::f64, DType::tf32, DType::f16, DType::bf16}) {
    EXPECT_EQ(dispatch(dtype, [](auto zero) { return static_cast<std::int64_t>(sizeof(zero)); }),
              size_of(dtype));
  }
}

TEST(DType, DispatchesWhatTheProcessorComputesInOnly) {
  const auto size = [](auto zero) { return sizeof(zero); };
  EXPECT_EQ(dispatch_computed(DType::f32, size), 4U);
  EXPECT_EQ(dispatch_computed(DType::f64, size), 8U);
  for (const DType dtype : {DType::tf32, DType::f16, DType::bf16})
    EXPECT_THROW(dispatch_computed(dtype, size), std::logic_error) << name_of(dtype);
}

}  // namespace
}  // namespace tpbench
