// What is made of events over the ranks, with events whose times are known.
#include "bench/samples.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "comm/merge_rows.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

constexpr std::int64_t kUs = 1000;
constexpr double kExact_s = 1e-12;
constexpr EventKey kCompute = {Activity::compute};
constexpr EventKey kReduce = {Activity::all_reduce, Direction::forward, 64};

// Steps that began at one moment, `kBegan` by each rank's clock.
constexpr std::int64_t kBegan = 5'000'000'000;

class Steps {
 public:
  explicit Steps(std::vector<EventKey> events) { traced_.events = std::move(events); }

  /// Times are microseconds since the step began.
  void add(const std::vector<std::pair<std::int64_t, std::int64_t>>& spans_us, std::int64_t end_us) {
    for (const auto& [start, end] : spans_us)
      traced_.spans.push_back({kBegan + start * kUs, kBegan + end * kUs});
    traced_.steps.push_back({kBegan, kBegan + end_us * kUs});
  }
  [[nodiscard]] TracedSteps& traced() { return traced_; }

 private:
  TracedSteps traced_;
};

int rank() { return world().rank(); }
bool is_last() { return world().rank() == world().size() - 1; }

// A whole world as one group.
const Team& everyone() { return first_ranks(world().size()); }

void expect_us(const std::vector<double>& values_s, double microseconds) {
  ASSERT_EQ(values_s.size(), 1U);
  EXPECT_NEAR(values_s[0] * 1e6, microseconds, 1e6 * kExact_s);
}

// The last rank comes 100 us later than the others, who find its data there 5 us after that.
TEST(ReduceSteps, ALateRankIsWaitedFor) {
  if (world().size() == 1) GTEST_SKIP();
  Steps steps({kCompute, kReduce});
  if (is_last())
    steps.add({{0, 140}, {140, 145}}, 146);
  else
    steps.add({{0, 40}, {40, 145}}, 145);
  Samples samples;
  reduce_steps(steps.traced(), everyone(), samples);
  expect_us(samples.step_s, 146);
  expect_us(samples.compute_s, 140);
  expect_us(samples.communication_s, 5);
  expect_us(samples.other_s, 1);
  expect_us(samples.wait_s, 100);
  expect_us(samples.imbalance_s, 100);
  expect_us(samples.wait_mean_s, 100.0 * (world().size() - 1) / world().size());
  EXPECT_EQ(samples.differences, 0);
}

// The same with nobody late: a message takes 500 us. And what the network makes of the next collective, as it
// does not let all go at once, is no imbalance.
TEST(ReduceSteps, LatencyIsCommunication) {
  if (world().size() == 1) GTEST_SKIP();
  Steps steps({kCompute, kReduce, kCompute, kReduce});
  if (is_last())
    steps.add({{0, 40}, {40, 1040}, {1040, 1050}, {1050, 1550}}, 1550);
  else
    steps.add({{0, 40}, {40, 540}, {540, 550}, {550, 1550}}, 1550);
  Samples samples;
  reduce_steps(steps.traced(), everyone(), samples);
  expect_us(samples.step_s, 1550);
  expect_us(samples.compute_s, 50);
  expect_us(samples.communication_s, 1500);
  expect_us(samples.other_s, 0);
  expect_us(samples.wait_s, 500);
  expect_us(samples.imbalance_s, 0);
  ASSERT_EQ(samples.collectives.size(), 1U);
  expect_us(samples.collectives[0].communication_s, 1500);
}

TEST(ReduceSteps, TellsHalvesAndKindsApart) {
  const EventKey scatter = {Activity::reduce_scatter, Direction::backward, 128};
  const EventKey back = {Activity::compute, Direction::backward};
  Steps steps({kCompute, kReduce, back, scatter});
  steps.add({{0, 10 + rank()}, {20, 27}, {27, 30 + rank()}, {40, 60}}, 61);
  Samples samples;
  reduce_steps(steps.traced(), everyone(), samples);
  const double last = world().size() - 1;
  expect_us(samples.compute_by_half_s[0], 10 + last);
  expect_us(samples.compute_by_half_s[1], 3 + last);
  expect_us(samples.communication_by_half_s[0], 7);
  expect_us(samples.communication_by_half_s[1], 20);
  ASSERT_EQ(samples.collectives.size(), 2U);
  EXPECT_EQ(samples.collectives[0].kind, kReduce);
  EXPECT_EQ(samples.collectives[1].kind, scatter);
  expect_us(samples.collectives[1].communication_s, 20);
}

// A model of which a quarter of the layers run: what is in them counts four times, and what is outside once.
TEST(ReduceSteps, ComposesAModelFromItsLayers) {
  const auto in_layers = [](EventKey key) {
    key.in_layers = true;
    return key;
  };
  const EventKey back = {Activity::compute, Direction::backward};
  Steps steps({kCompute, kReduce, in_layers(kCompute), in_layers(kReduce), in_layers(kCompute), kCompute,
               back, in_layers(back), back});
  // The first rank ends its layers three earlier than the others, and has nothing to do with when they end.
  const std::int64_t early = rank() == 0 && world().size() > 1 ? 3 : 0;
  steps.add({{0, 10}, {10, 15}, {16, 36}, {36, 40}, {41, 51 - early}, {52, 60}, {60, 64}, {65, 85}, {86, 90}},
            91);
  Samples samples;
  samples.layers_scale = 4;
  reduce_steps(steps.traced(), everyone(), samples);
  expect_us(samples.measured_step_s, 91);
  expect_us(samples.step_s, 91 + 3 * ((51 - 15) + (85 - 64)));
  expect_us(samples.compute_s, 10 + 4 * (20 + 10) + 8 + 4 + 4 * 20 + 4);
  expect_us(samples.compute_by_half_s[1], 4 + 4 * 20 + 4);
  expect_us(samples.communication_s, 5 + 4 * 4);
  ASSERT_EQ(samples.collectives.size(), 1U) << "the same collective, in layers and not";
  expect_us(samples.collectives[0].communication_s, 21);
  expect_us(samples.other_s, samples.step_s[0] * 1e6 - 226 - 21);
}

// As stages of a pipeline: each rank computes for stages of its own, in an order of its own, and rank 0 alone
// once more.
TEST(ReduceSteps, MatchesEventsByTheirKeys) {
  EventKey own = kCompute;
  own.stage = 1 + rank();
  own.microbatch = 2;
  const bool first = rank() == 0;
  Steps steps(first ? std::vector{kReduce, own, own} : std::vector{own, kReduce});
  if (first)
    steps.add({{10, 15}, {15, 35}, {35, 42}}, 50);
  else
    steps.add({{0, 5 * rank()}, {9, 15}}, 16);
  Samples samples;
  reduce_steps(steps.traced(), everyone(), samples);
  double compute_us = 20 + 7;
  for (int other = 1; other < world().size(); ++other) compute_us += 5 * other;
  expect_us(samples.compute_s, compute_us);
  expect_us(samples.communication_s, 5);
  expect_us(samples.step_s, 50);
  EXPECT_EQ(samples.collectives.size(), 1U);
}

// Two stages of two ranks each. A rank that leaves a collective before the other has a head start to the
// next, which is no fault of the other.
TEST(ReduceSteps, TellsTheNetworkFromLateRanksOnStagesToo) {
  if (world().size() != 4) GTEST_SKIP() << "needs two stages of two ranks";
  Team team = everyone();
  team.share_layers({.tp = 2, .pp = 2});
  EventKey reduce = kReduce;
  reduce.stage = team.pp_rank();
  Steps steps({reduce, reduce});
  if (rank() % 2 == 0)
    steps.add({{0, 7}, {12, 20}}, 21);
  else
    steps.add({{0, 10}, {17, 20}}, 21);
  Samples samples;
  reduce_steps(steps.traced(), team, samples);
  expect_us(samples.communication_s, 10 + 3);
  expect_us(samples.wait_s, 5);
  expect_us(samples.wait_mean_s, 2.5);
  expect_us(samples.imbalance_s, 5 - 3);
}

// Two pairs do the same side by side: what the slower pair takes.
TEST(ReduceSteps, TakesTheLongestOfPartsSideBySide) {
  if (world().size() != 4) GTEST_SKIP() << "needs two pairs";
  EventKey copies = kReduce;
  copies.group = 2;
  Steps steps({copies});
  const std::vector<std::pair<std::int64_t, std::int64_t>> spans[] = {
      {{0, 30}}, {{20, 30}}, {{100, 117}}, {{105, 120}}};
  steps.add(spans[rank()], 120);
  Samples samples;
  reduce_steps(steps.traced(), everyone(), samples);
  expect_us(samples.communication_s, 15);  // 30 - 20 and 120 - 105
  expect_us(samples.wait_s, 20);
  expect_us(samples.wait_mean_s, (20 + 0 + 5 + 0) / 4.0);
}

TEST(ReduceSteps, TakesThePartsOfTheSlowestGroup) {
  Case point = make_case({"gemm"}, {12, 60, 132, 6, 12, 12});
  point.groups = Groups::all;
  point.layout.tp = 1;
  const Team& team = team_for(point);
  Steps steps({kCompute, kReduce});
  // Rank 0 computes for long; the other groups communicate for as long, and end sooner.
  if (rank() == 0)
    steps.add({{0, 600}, {600, 610}}, 620);
  else
    steps.add({{0, 10}, {10, 410}}, 420);
  Samples samples;
  reduce_steps(steps.traced(), team, samples);
  expect_us(samples.step_s, 620);
  expect_us(samples.compute_s, 600);
  expect_us(samples.communication_s, 10);
  expect_us(samples.other_s, 10);
}

// What hosts see whose clocks cannot be aligned: nothing between them.
TEST(ReduceSteps, SaysNothingAcrossClocksThatAreNotAligned) {
  if (world().size() == 1) GTEST_SKIP();
  Team team = everyone();
  team.share_a_clock("host " + std::to_string(rank()));
  Steps steps({kCompute, kReduce});
  steps.add({{0, 10 + rank()}, {20, 30}}, 40 + rank());
  // Each began at a moment of its own, hours apart.
  for (EventSpan& span : steps.traced().spans) {
    span.start_ns += rank() * 3'600'000'000'000;
    span.end_ns += rank() * 3'600'000'000'000;
  }
  steps.traced().steps[0].start_ns += rank() * 3'600'000'000'000;
  steps.traced().steps[0].end_ns += rank() * 3'600'000'000'000;
  Samples samples;
  reduce_steps(steps.traced(), team, samples);
  const double last = world().size() - 1;
  EXPECT_FALSE(samples.communication_known);
  expect_us(samples.step_s, 40 + last);
  expect_us(samples.compute_s, 10 + last);
  EXPECT_TRUE(samples.communication_s.empty());
  EXPECT_TRUE(samples.wait_s.empty());
  EXPECT_TRUE(samples.other_s.empty());
  ASSERT_EQ(samples.collectives.size(), 1U);
  EXPECT_TRUE(samples.collectives[0].communication_s.empty());
}

// One step has one difference between hosts for each of its collectives, and each may be as wrong as the
// next.
TEST(ReduceSteps, CountsDifferencesBetweenClocks) {
  if (world().size() < 2) GTEST_SKIP();
  Team team = everyone();
  team.share_a_clock("host " + std::to_string(rank() / 2));
  team.clock->restart();
  const EventKey gather = {Activity::all_gather, Direction::backward, 256};
  Steps steps({kReduce, kReduce, gather});
  steps.add({{0, 5}, {10, 15}, {20, 25}}, 30);
  Samples samples;
  reduce_steps(steps.traced(), team, samples);
  const std::int64_t crosses = world().size() > 2 ? 1 : 0;
  EXPECT_EQ(samples.differences, 3 * crosses);
  EXPECT_EQ(samples.differences_by_half[0], 2 * crosses);
  EXPECT_EQ(samples.differences_by_half[1], crosses);
  EXPECT_EQ(samples.collectives[0].differences, 2 * crosses);
}

// The transfers of a model's layers stand for those of all layers, and their errors too.
TEST(ReduceSteps, CountsDifferencesOfLayersAsOftenAsTheirTimes) {
  if (world().size() < 3) GTEST_SKIP();
  Team team = everyone();
  team.share_a_clock("host " + std::to_string(rank() / 2));
  team.clock->restart();
  EventKey in_layers = kReduce;
  in_layers.in_layers = true;
  Steps steps({kReduce, in_layers});
  steps.add({{0, 5}, {10, 15}}, 20);
  Samples samples;
  samples.layers_scale = 16;
  reduce_steps(steps.traced(), team, samples);
  EXPECT_EQ(samples.differences, 1 + 16);
  EXPECT_EQ(samples.collectives[0].differences, 1 + 16);
}

TEST(Samples, AreAboveTheErrorOfTheirClocksOrNoNumbers) {
  const std::vector<double> samples_s = {9e-6, 10e-6, 11e-6};
  EXPECT_TRUE(is_above_error(samples_s, 0, 1)) << "one clock";
  EXPECT_TRUE(is_above_error(samples_s, 1, 3.3e-6));
  EXPECT_FALSE(is_above_error(samples_s, 1, 3.4e-6));
  EXPECT_FALSE(is_above_error(samples_s, 2, 1.7e-6)) << "two differences, twice the error";
}

// Devices are placed on the host's clock to 20 us here: 15 us between them are told by nobody but the last to
// start.
TEST(ReduceSteps, TakesTheLastStartersOwnTimeBetweenDevices) {
  if (world().size() == 1) GTEST_SKIP();
  const EventKey large = {Activity::all_reduce, Direction::forward, 1 << 20};
  Steps steps({kReduce, large});
  steps.traced().of_device = true;
  if (is_last())
    steps.add({{10, 22}, {100, 1100}}, 1200);
  else
    steps.add({{0, 25}, {90, 1150}}, 1200);
  steps.traced().steps[0].place_error_ns = 10 * kUs;
  Samples samples;
  reduce_steps(steps.traced(), everyone(), samples);
  ASSERT_EQ(samples.collectives.size(), 2U);
  expect_us(samples.collectives[0].communication_s, 12);
  expect_us(samples.collectives[1].communication_s, 1050);
  expect_us(samples.device_error_s, 20);
  EXPECT_EQ(samples.own_durations, 1);
}

TEST(MergeRows, HasEachRowOnceOnEveryRank) {
  const std::vector<std::int64_t> own = {7, 7, rank() % 2, rank()};
  std::vector<std::int64_t> expected;
  for (int parity = 0; parity < 2; ++parity) {
    for (int r = parity; r < world().size(); r += 2) expected.insert(expected.end(), {parity, r});
  }
  expected.insert(expected.end(), {7, 7});
  EXPECT_EQ(merge_rows(world(), own, 2), expected);
  EXPECT_TRUE(merge_rows(world(), {}, 3).empty());
}

}  // namespace
}  // namespace tpbench::test
