#include "result/scaling.hpp"

#include <gtest/gtest.h>

#include "sample_record.hpp"

namespace tpbench {
namespace {

using sample::make_case;
using sample::make_ok;

TEST(Scaling, ComparesWithTheUnshardedCaseOfTheSeries) {
  std::vector<Record> records = {make_ok(make_case("mlp", 4), {.compute = 0.3, .communication = 0.1}),
                                 make_ok(make_case("mlp", 1), {.compute = 1.2}),
                                 make_ok(make_case("row_linear", 1), {.compute = 9.0})};
  EXPECT_EQ(apply_scaling(records), (std::vector<std::size_t>{0, 1, 2}));
  const ScalingResult& scaling = records[0].scaling;
  EXPECT_EQ(scaling.baseline_id, records[1].id);
  EXPECT_NEAR(scaling.speedup.value(), 3.0, 1e-9);
  EXPECT_NEAR(scaling.efficiency.value(), 0.75, 1e-9);
  EXPECT_NEAR(scaling.communication_fraction.value(), 0.25, 1e-9);
  EXPECT_DOUBLE_EQ(scaling.weights_reduction.value(), 4);
  EXPECT_GT(scaling.memory_reduction.value(), 1);
  EXPECT_LT(scaling.memory_reduction.value(), 4) << "X and Y are whole on every rank";
  EXPECT_DOUBLE_EQ(records[1].scaling.efficiency.value(), 1);
  EXPECT_TRUE(apply_scaling(records).empty()) << "nothing changed since";
}

TEST(Scaling, IsNotStatedBetweenDifferentNumbersOfThreads) {
  std::vector<Record> records = {make_ok(make_case("mlp", 2), {.compute = 1}),
                                 make_ok(make_case("mlp", 1), {.compute = 2})};
  records[1].point.threads_per_rank = 2;
  apply_scaling(records);
  EXPECT_FALSE(records[0].scaling.speedup);
  ASSERT_EQ(records[0].warnings.size(), 1U);
  EXPECT_EQ(records[0].warnings[0].code, "baseline_threads");
  EXPECT_TRUE(apply_scaling(records).empty()) << "said once";
  records[1].point.threads_per_rank = 1;
  apply_scaling(records);
  EXPECT_TRUE(records[0].scaling.speedup);
  EXPECT_TRUE(records[0].warnings.empty()) << "and taken back";
}

TEST(Scaling, OfAnotherLaunchCarriesAWarning) {
  std::vector<Record> records = {make_ok(make_case("mlp", 2), {.compute = 1}),
                                 make_ok(make_case("mlp", 1), {.compute = 2})};
  records[0].environment = "environment-2.json";
  apply_scaling(records);
  EXPECT_TRUE(records[0].scaling.speedup);
  ASSERT_EQ(records[0].warnings.size(), 1U);
  EXPECT_EQ(records[0].warnings[0].code, "baseline_launch");
}

TEST(Scaling, IsEmptyUntilTheBaselineIsOk) {
  std::vector<Record> records = {
      make_ok(make_case("mlp", 2), {.compute = 1, .communication = 1}),
      sample::make_not_ok(make_case("mlp", 1), Status::failed, ReasonCode::error, "x")};
  EXPECT_EQ(apply_scaling(records), std::vector<std::size_t>{0});
  EXPECT_FALSE(records[0].scaling.speedup);
  EXPECT_FALSE(records[0].scaling.baseline_id);
  EXPECT_DOUBLE_EQ(records[0].scaling.communication_fraction.value(), 0.5);
  EXPECT_EQ(records[1].scaling, ScalingResult{});

  records[1] = make_ok(make_case("mlp", 1), {.compute = 2});
  EXPECT_EQ(apply_scaling(records), (std::vector<std::size_t>{0, 1}));
  EXPECT_DOUBLE_EQ(records[0].scaling.efficiency.value(), 0.5);
}

TEST(Scaling, KeepsSeriesApartThatDifferInMoreThanTheDegree) {
  Case other = make_case("mlp", 2);
  other.batch_size = 4;
  std::vector<Record> records = {make_ok(make_case("mlp", 1), {.compute = 1}),
                                 make_ok(other, {.compute = 1})};
  apply_scaling(records);
  EXPECT_FALSE(records[1].scaling.baseline_id);
}

TEST(Scaling, EfficiencyIsNotClamped) {
  std::vector<Record> records = {make_ok(make_case("gemm", 1), {.compute = 4}),
                                 make_ok(make_case("gemm", 2), {.compute = 1})};
  apply_scaling(records);
  EXPECT_DOUBLE_EQ(records[1].scaling.efficiency.value(), 2);
}

TEST(Scaling, NoWeightsNoReductionOfWeights) {
  std::vector<Record> records = {make_ok(make_case("all_reduce", 1), {.other = 1e-6}),
                                 make_ok(make_case("all_reduce", 2), {.communication = 1e-3})};
  apply_scaling(records);
  EXPECT_FALSE(records[1].scaling.weights_reduction);
  EXPECT_TRUE(records[1].scaling.memory_reduction);
}

// threads_per_rank stands in a record as it ran and in an id only as it was asked.
TEST(Scaling, SeriesDoesNotDependOnTheLaunch) {
  const Record ran = make_ok(make_case("mlp", 2), {.compute = 1});
  const Record skipped = sample::make_not_ok(make_case("mlp", 16), Status::skipped, ReasonCode::ranks, "x");
  EXPECT_EQ(ran.point.threads_per_rank, 1);
  EXPECT_EQ(series_id(ran), series_id(skipped));

  Case asked = make_case("mlp", 2);
  asked.threads_per_rank = 1;
  EXPECT_NE(series_id(make_ok(asked, {.compute = 1})), series_id(ran));
}

}  // namespace
}  // namespace tpbench
