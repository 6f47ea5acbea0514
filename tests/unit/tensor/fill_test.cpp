#include "tensor/fill.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace tpbench {
namespace {

constexpr TensorKey kKey = {.seed = 42, .tensor = 3, .layer = 1, .scale = 0.25};

template <typename T>
std::vector<T> values_of(const TensorKey& key, std::int64_t row, std::int64_t column, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  fill_row(values.data(), key, row, column, count);
  return values;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean_a = mean_of(a), mean_b = mean_of(b);
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

// Of n independent pairs the correlation is about 1/sqrt(n): five times that is chance once in a million.
constexpr std::int64_t kMany = 40000;
constexpr double kChance = 5.0 / 200.0;

template <typename T>
class FillOf : public testing::Test {
 protected:
  static MatrixView view(std::vector<T>& values, std::int64_t rows, std::int64_t columns,
                         std::int64_t stride) {
    return {values.data(), kDTypeOf<T>, rows, columns, stride};
  }
};
using AllTypes = testing::Types<float, double, Float16, BFloat16>;
TYPED_TEST_SUITE(FillOf, AllTypes);

// Any way to cut the whole: by rows, by columns, at any place.
TYPED_TEST(FillOf, ShardsAreSlicesOfTheWhole) {
  constexpr std::int64_t kRows = 13, kColumns = 71;
  std::vector<TypeParam> whole(kRows * kColumns);
  fill_rows(this->view(whole, kRows, kColumns, kColumns), kKey, 0, 0, 0, kRows);
  for (const std::int64_t row : {0, 1, 5, 12}) {
    for (const std::int64_t column : {0, 1, 3, 16, 17, 70}) {
      const std::int64_t rows = kRows - row, columns = kColumns - column;
      std::vector<TypeParam> shard(static_cast<std::size_t>(rows * columns));
      fill_rows(this->view(shard, rows, columns, columns), kKey, row, column, 0, rows);
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; ++c) {
          ASSERT_EQ(shard[static_cast<std::size_t>(r * columns + c)],
                    whole[static_cast<std::size_t>((row + r) * kColumns + column + c)])
              << "row " << row + r << ", column " << column + c;
        }
      }
    }
  }
}

TYPED_TEST(FillOf, WritesOnlyTheRowsAskedForAndNothingBetweenThem) {
  constexpr std::int64_t kRows = 6, kColumns = 5, kStride = 8;
  const TypeParam untouched(99);
  std::vector<TypeParam> values(kRows * kStride, untouched);
  fill_rows(this->view(values, kRows, kColumns, kStride), kKey, 10, 20, 2, 5);
  for (std::int64_t r = 0; r < kRows; ++r) {
    const auto expected = values_of<TypeParam>(kKey, 10 + r, 20, kColumns);
    for (std::int64_t c = 0; c < kStride; ++c) {
      const bool written = r >= 2 && r < 5 && c < kColumns;
      EXPECT_EQ(values[static_cast<std::size_t>(r * kStride + c)],
                written ? expected[static_cast<std::size_t>(c)] : untouched);
    }
  }
}

TYPED_TEST(FillOf, PoisonIsNotANumberAndStaysInsideTheView) {
  std::vector<TypeParam> values(4 * 8, TypeParam(1));
  poison(this->view(values, 4, 5, 8));
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(std::isnan(values[i]), i % 8 < 5) << i;
}

TYPED_TEST(FillOf, FlushingCachesLeavesValuesAsTheyAre) {
  const auto before = values_of<TypeParam>(kKey, 0, 0, 1000);
  const auto flushed = before;
  flush_from_caches(flushed.data(), static_cast<std::int64_t>(flushed.size() * sizeof(TypeParam)));
  EXPECT_EQ(flushed, before);
}

// One pattern for both types: f32 is f64 rounded. A scale that is no power of two is itself rounded first.
TEST(Fill, GivesOnePatternInBothTypes) {
  for (const double scale : {1.0, 0.25, 4.0}) {
    const TensorKey key = {.seed = 5, .tensor = 2, .layer = 3, .scale = scale};
    const auto narrow = values_of<float>(key, 7, 0, kMany);
    const auto wide = values_of<double>(key, 7, 0, kMany);
    for (std::size_t i = 0; i < narrow.size(); ++i) ASSERT_EQ(narrow[i], static_cast<float>(wide[i])) << i;
  }
  const TensorKey key = {.seed = 5, .scale = std::sqrt(3.0 / 4096)};
  const auto narrow = values_of<float>(key, 7, 0, kMany);
  const auto wide = values_of<double>(key, 7, 0, kMany);
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(narrow[i]), wide[i], std::abs(wide[i]) * 2 * 0x1p-23) << i;
  }
}

// f16 and bf16 are f32 rounded, bit for bit, whatever the scale and wherever a row begins.
template <typename T>
void expect_f32_rounded() {
  for (const double scale : {1.0, std::sqrt(3.0 / 4096), 1e-4}) {
    const TensorKey key = {.seed = 5, .tensor = 2, .layer = 3, .scale = scale};
    const auto narrow = values_of<T>(key, 7, 11, kMany);
    const auto wide = values_of<float>(key, 7, 11, kMany);
    for (std::size_t i = 0; i < narrow.size(); ++i) ASSERT_EQ(narrow[i].bits, T(wide[i]).bits) << i;
  }
}
TEST(Fill, RoundsTheValuesOfF32ToF16) { expect_f32_rounded<Float16>(); }
TEST(Fill, RoundsTheValuesOfF32ToBF16) { expect_f32_rounded<BFloat16>(); }

TEST(Fill, IsUniformInItsRange) {
  const auto values = values_of<double>(kKey, 0, 0, kMany);
  double square = 0;
  std::vector<int> bins(16);
  for (const double value : values) {
    ASSERT_GE(value, -kKey.scale);
    ASSERT_LT(value, kKey.scale);
    square += value * value;
    ++bins[static_cast<std::size_t>((value / kKey.scale + 1) / 2 * 16)];
  }
  const double n = static_cast<double>(kMany), deviation = kKey.scale / std::sqrt(3.0);
  EXPECT_LT(std::abs(mean_of(values)), 5 * deviation / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(square / n), deviation, 0.02 * deviation);
  for (const int count : bins) EXPECT_NEAR(count, n / 16, 5 * std::sqrt(n / 16));
}

TEST(Fill, GivesOtherValuesForEveryPartOfTheKey) {
  const auto base = values_of<double>(kKey, 8, 0, kMany);
  const auto expect_unrelated = [&](const TensorKey& key, std::int64_t row, const char* what) {
    const auto other = values_of<double>(key, row, 0, kMany);
    EXPECT_LT(std::abs(correlation(base, other)), kChance) << "another " << what;
  };
  for (const std::uint64_t seed : {0U, 41U, 43U, 42U + 65536U}) {
    expect_unrelated({.seed = seed, .tensor = 3, .layer = 1}, 8, "seed");
  }
  for (const std::uint32_t tensor : {0U, 2U, 4U, 103U}) {
    expect_unrelated({.seed = 42, .tensor = tensor, .layer = 1}, 8, "tensor");
  }
  for (const std::int64_t layer : {0, 2, 3})
    expect_unrelated({.seed = 42, .tensor = 3, .layer = layer}, 8, "layer");
  for (const std::int64_t row : {0, 7, 9, 8 + 65536}) expect_unrelated(kKey, row, "row");
}

// Neighbours must not be related either, along rows and down columns.
TEST(Fill, HasUnrelatedNeighbours) {
  const auto values = values_of<double>(kKey, 0, 0, kMany + 64);
  for (const std::ptrdiff_t distance : {1, 2, 3, 4, 8, 16, 64}) {
    const std::vector<double> a(values.begin(), values.begin() + kMany);
    const std::vector<double> b(values.begin() + distance, values.begin() + distance + kMany);
    EXPECT_LT(std::abs(correlation(a, b)), kChance) << "columns " << distance << " apart";
  }
  std::vector<double> column, next;
  for (std::int64_t row = 0; row < kMany; ++row) {
    const auto pair = values_of<double>(kKey, row, 5, 2);
    column.push_back(pair[0]);
    next.push_back(pair[1]);
  }
  EXPECT_LT(std::abs(correlation(column, next)), kChance);
  column.push_back(values_of<double>(kKey, kMany, 5, 1)[0]);
  EXPECT_LT(std::abs(correlation({column.begin(), column.end() - 1}, {column.begin() + 1, column.end()})),
            kChance);
}

}  // namespace
}  // namespace tpbench
