#include "report/comparison.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/json.hpp"
#include "sample_sets.hpp"

namespace tpbench {
namespace {

using sample::Machine;
using sample::make_case;
using sample::make_not_ok;
using sample::make_ok;
using sample::simulate;

ResultSet set_of(const std::string& path, std::vector<Record> records) {
  ResultSet set;
  set.path = path;
  set.records = std::move(records);
  // Samples of the sample record rise steadily, which the statistics take for a drift.
  for (Record& record : set.records) {
    if (!record.time) continue;
    for (const ComparedQuantity& quantity : kComparedQuantities) {
      auto& samples = ((*record.time).*quantity.member).samples_s;
      std::shuffle(samples.begin(), samples.end(), std::mt19937(7));
    }
  }
  apply_scaling(set.records);
  set.environments["environment.json"] = {{"noise", {{"worst_rank_relative", 0.01}}}};
  return set;
}

double share_marked(const Comparison& comparison) {
  std::size_t marked = 0, cells = 0;
  for (const QuantitySummary& summary : comparison.summaries) {
    marked += summary.slower + summary.faster;
    cells += summary.ratios;
  }
  return static_cast<double>(marked) / static_cast<double>(cells);
}

// ---- the join

TEST(Compare, JoinsByWhatWasMeasured) {
  Record base = make_ok(make_case("mlp", 2), {.compute = 1e-3});
  Record other = make_ok(make_case("mlp", 2), {.compute = 2e-3});
  other.label = "eth-10g";
  other.point.threads_per_rank = 4;  // left to the machine, so not in the id
  const ResultSet a = set_of("a", {base}), b = set_of("b", {other});
  const Comparison comparison = compare(a, b);
  ASSERT_EQ(comparison.cases.size(), 1U);
  EXPECT_DOUBLE_EQ(comparison.cases[0].cells[0].ratio.value(), 2.0);
  EXPECT_TRUE(std::any_of(comparison.remarks.begin(), comparison.remarks.end(), [](const std::string& text) {
    return text.find("1 of 1 cases ran with other threads per rank") != std::string::npos;
  }));

  Case asked = make_case("mlp", 2);
  asked.threads_per_rank = 4;  // asked for: another case
  const ResultSet c = set_of("c", {base, make_ok(asked, {.compute = 1e-3})});
  EXPECT_EQ(compare(a, c).cases.size(), 1U);
  EXPECT_EQ(compare(a, c).unmatched.size(), 1U);
}

TEST(Compare, NamesWhatCannotBeCompared) {
  const ResultSet a =
      set_of("a", {make_ok(make_case("mlp", 1), {.compute = 1}), make_ok(make_case("mlp", 2), {.compute = 1}),
                   make_ok(make_case("gemm", 1), {.compute = 1}),
                   make_not_ok(make_case("mlp", 3), Status::skipped, ReasonCode::ranks, "few")});
  const ResultSet b =
      set_of("b", {make_ok(make_case("mlp", 1), {.compute = 1}),
                   make_not_ok(make_case("mlp", 2), Status::failed, ReasonCode::error, "broke"),
                   make_ok(make_case("gemm", 2), {.compute = 1}),
                   make_not_ok(make_case("mlp", 3), Status::skipped, ReasonCode::ranks, "few")});
  const Comparison comparison = compare(a, b);
  ASSERT_EQ(comparison.cases.size(), 1U);
  ASSERT_EQ(comparison.unmatched.size(), 4U);
  EXPECT_EQ(comparison.unmatched[0].base->point.workload, "gemm");
  EXPECT_EQ(comparison.unmatched[0].other, nullptr);
  EXPECT_EQ(comparison.unmatched[1].base, nullptr);
  EXPECT_EQ(comparison.unmatched[2].other->reason, "broke");
  EXPECT_EQ(comparison.unmatched[3].base->status, Status::skipped);
}

TEST(Compare, SaysWhyNothingIsInCommon) {
  Case shared = make_case("mlp", 1), other = make_case("mlp", 1);
  other.algorithm = "shm";
  const ResultSet a = set_of("a", {make_ok(shared, {.compute = 1})});
  const ResultSet b = set_of("b", {make_ok(other, {.compute = 1})});
  try {
    (void)compare(a, b);
    FAIL() << "compared";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(),
                 "b: has no case in common with a: they differ in algorithm (mpi there, shm here)");
  }
}

// ---- one cell

TEST(Compare, HandlesPartsThatAreNotThere) {
  const ResultSet a = set_of("a", {make_ok(make_case("mlp", 2), {.compute = 1e-3})});
  const ResultSet b = set_of("b", {make_ok(make_case("mlp", 2), {.compute = 1e-3, .communication = 1e-3})});
  const Comparison comparison = compare(a, b);
  const Cell& communication = comparison.cases[0].cells[2];
  EXPECT_FALSE(communication.ratio);
  EXPECT_FALSE(communication.ci95);
  EXPECT_EQ(communication.verdict, Verdict::not_judged);
  EXPECT_FALSE(comparison.summaries[2].geometric_mean);
  EXPECT_EQ(comparison.summaries[2].ratios, 0U);
  EXPECT_EQ(comparison.cases[0].cells[0].verdict, Verdict::slower);
}

TEST(Compare, GeometricMeanIsOfTheRatios) {
  const ResultSet a = set_of("a", {make_ok(make_case("mlp", 1), {.compute = 1e-3}),
                                   make_ok(make_case("mlp", 2), {.compute = 1e-3})});
  const ResultSet b = set_of("b", {make_ok(make_case("mlp", 1), {.compute = 8e-3}),
                                   make_ok(make_case("mlp", 2), {.compute = 0.5e-3})});
  const Comparison comparison = compare(a, b);
  EXPECT_NEAR(comparison.summaries[0].geometric_mean.value(), 2, 1e-9);
  EXPECT_EQ(comparison.summaries[0].slower, 1U);
  EXPECT_EQ(comparison.summaries[0].faster, 1U);
}

TEST(Compare, DoesNotMarkWhatTheClockAndTheBarrierCanMake) {
  const ResultSet a = set_of("a", {make_ok(make_case("gemm", 1), {.compute = 30e-9})});
  const ResultSet b = set_of("b", {make_ok(make_case("gemm", 1), {.compute = 60e-9})});
  EXPECT_EQ(compare(a, b).cases[0].cells[0].verdict, Verdict::within_noise);
  const ResultSet c = set_of("c", {make_ok(make_case("gemm", 1), {.compute = 600e-9})});
  EXPECT_EQ(compare(a, c).cases[0].cells[0].verdict, Verdict::slower);
}

TEST(Compare, IntervalHoldsTheRatioShown) {
  for (const std::size_t epochs : {1, 2, 5, 6, 10}) {
    const ResultSet a = simulate(20, epochs, 40, {.busy = 0.3}, 1),
                    b = simulate(20, epochs, 40, {.busy = 0.3}, 2);
    for (const ComparedCase& compared : compare(a, b).cases) {
      const Cell& step = compared.cells[0];
      ASSERT_TRUE(step.ci95) << epochs;
      EXPECT_LE((*step.ci95)[0], *step.ratio);
      EXPECT_GE((*step.ci95)[1], *step.ratio);
      EXPECT_EQ(step.basis, epochs > 1 ? Basis::epochs : Basis::blocks);
    }
  }
}

TEST(Compare, TooFewSamplesAreNotJudged) {
  const ResultSet a = simulate(1, 1, 3, {}, 1), b = simulate(1, 1, 3, {.factor = 10}, 2);
  const Comparison comparison = compare(a, b);
  EXPECT_EQ(comparison.cases[0].cells[0].verdict, Verdict::not_judged);
  EXPECT_NEAR(comparison.cases[0].cells[0].ratio.value(), 10, 1);
}

TEST(Compare, AssumesANoisyMachineWhereNothingIsKnown) {
  ResultSet a = simulate(4, 1, 100, {}, 1), b = simulate(4, 1, 100, {.factor = 1.15}, 2);
  EXPECT_EQ(share_marked(compare(a, b)), 1);
  a.environments.clear();
  const Comparison comparison = compare(a, b);
  EXPECT_EQ(comparison.base.noise, kUnknownNoise);
  EXPECT_EQ(share_marked(comparison), 0);
  EXPECT_NE(comparison.remarks.at(0).find("no environment.json"), std::string::npos);
}

// ---- over many cases: what a reader relies on

struct Setting {
  const char* name;
  std::size_t epochs;
  Machine machine;
  double probe;
};

class OverManyCases : public testing::TestWithParam<Setting> {};

TEST_P(OverManyCases, MarksAtMostFivePercentOfCellsThatAreAlike) {
  const Setting& setting = GetParam();
  for (std::uint32_t seed = 1; seed <= 3; ++seed) {
    const ResultSet a = simulate(200, setting.epochs, 50, setting.machine, seed, setting.probe);
    const ResultSet b = simulate(200, setting.epochs, 50, setting.machine, seed + 100, setting.probe);
    EXPECT_LE(share_marked(compare(a, b)), 0.05) << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OverManyCases,
    testing::Values(Setting{"quiet_one_pass", 1, {.noise = 0.005}, 0.01},
                    Setting{"chained_one_pass", 1, {.noise = 0.03, .memory = 0.95}, 0.03},
                    Setting{"busy_one_pass", 1, {.noise = 0.01, .busy = 0.3}, 0.2},
                    Setting{"quiet_two_epochs", 2, {.noise = 0.005}, 0.01},
                    Setting{"chained_three_epochs", 3, {.noise = 0.03, .memory = 0.95}, 0.03},
                    Setting{"busy_five_epochs", 5, {.noise = 0.01, .busy = 0.4}, 0.15},
                    Setting{"chained_six_epochs", 6, {.noise = 0.03, .memory = 0.95}, 0.03},
                    Setting{"busy_ten_epochs", 10, {.noise = 0.01, .busy = 0.4}, 0.15}),
    [](const auto& test) { return std::string(test.param.name); });

// Another program that ran during one of the launches only is no difference of what was measured.
TEST(OverManyCases, DoesNotMarkABusierNeighbour) {
  const ResultSet a = simulate(200, 10, 50, {.noise = 0.01, .busy = 0.1}, 1, 0.1);
  const ResultSet b = simulate(200, 10, 50, {.noise = 0.01, .busy = 0.6}, 2, 0.15);
  EXPECT_LE(share_marked(compare(a, b)), 0.05);
}

TEST(OverManyCases, MarksASlowDownOfTenPercentOnAQuietMachine) {
  for (const std::size_t epochs : {1, 3, 5, 6, 8, 10}) {
    const Machine machine = {.factor = 1, .noise = 0.01, .memory = 0.5};
    Machine slow = machine;
    slow.factor = 1.1;
    const ResultSet a = simulate(200, epochs, 50, machine, 1, 0.01),
                    b = simulate(200, epochs, 50, slow, 2, 0.01);
    EXPECT_GE(share_marked(compare(a, b)), 0.9) << epochs;
    EXPECT_EQ(compare(a, b).summaries[0].faster, 0U);
    EXPECT_GE(static_cast<double>(compare(b, a).summaries[0].faster), 180) << epochs;
  }
}

// One case among two hundred needs eight epochs: with six, 2/924 is not small enough for so many cells.
TEST(OverManyCases, FindsOneAmongMany) {
  for (const std::size_t epochs : {8, 10}) {
    const ResultSet a = simulate(200, epochs, 50, {.noise = 0.01}, 1, 0.01);
    ResultSet b = simulate(200, epochs, 50, {.noise = 0.01}, 2, 0.01);
    b.records[77].time = simulate(200, epochs, 50, {.factor = 1.2, .noise = 0.01}, 3).records[77].time;
    const Comparison comparison = compare(a, b);
    const auto slower = slower_than(comparison, 0.1);
    ASSERT_EQ(slower.size(), 1U) << epochs;
    EXPECT_EQ(slower[0]->base->id, a.records[77].id);
    EXPECT_TRUE(slower_than(comparison, 0.3).empty());
  }
}

// Six epochs that are apart have p = 2/924: enough for one case, and not for one of two hundred.
TEST(OverManyCases, AsksMoreOfOneAmongMany) {
  const auto marked = [](std::size_t cases) {
    const ResultSet a = simulate(cases, 6, 50, {.noise = 0.01}, 1, 0.01);
    ResultSet b = simulate(cases, 6, 50, {.noise = 0.01}, 2, 0.01);
    b.records[0].time = simulate(1, 6, 50, {.factor = 1.3, .noise = 0.01}, 3).records[0].time;
    return slower_than(compare(a, b), 0.1).size();
  };
  EXPECT_EQ(marked(1), 1U);
  EXPECT_EQ(marked(200), 0U);
}

}  // namespace
}  // namespace tpbench
