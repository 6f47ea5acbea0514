// What run_case brings of a case that is as it should be.
#include "bench/sampling.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "compute/reference_work.hpp"
#include "faulty_parts.hpp"
#include "held_up.hpp"
#include "run_case.hpp"

namespace tpbench::test {
namespace {

void expect_closure(const Samples& samples) {
  const std::size_t count = samples.step_s.size();
  ASSERT_GT(count, 0U);
  ASSERT_EQ(samples.compute_s.size(), count);
  if (!samples.communication_known) return;  // one rank's clock was skewed, and the machine is busy
  ASSERT_EQ(samples.communication_s.size(), count);
  ASSERT_EQ(samples.wait_s.size(), count);
  ASSERT_EQ(samples.wait_mean_s.size(), count);
  ASSERT_EQ(samples.imbalance_s.size(), count);
  ASSERT_EQ(samples.other_s.size(), count);
  for (const auto& collective : samples.collectives) ASSERT_EQ(collective.communication_s.size(), count);
  for (std::size_t k = 0; k < count; ++k) {
    const double parts = samples.compute_s[k] + samples.communication_s[k] + samples.other_s[k];
    EXPECT_NEAR(parts, samples.step_s[k], 1e-12);
    double by_kind = 0;
    for (const auto& collective : samples.collectives) by_kind += collective.communication_s[k];
    EXPECT_NEAR(by_kind, samples.communication_s[k], 1e-12);
    EXPECT_NEAR(samples.compute_by_half_s[0][k] + samples.compute_by_half_s[1][k], samples.compute_s[k],
                1e-12);
    EXPECT_NEAR(samples.communication_by_half_s[0][k] + samples.communication_by_half_s[1][k],
                samples.communication_s[k], 1e-12);
    EXPECT_GT(samples.step_s[k], 0);
    EXPECT_GE(samples.compute_s[k], 0);
    EXPECT_GE(samples.communication_s[k], 0);
    EXPECT_GE(samples.wait_s[k], 0);
  }
}

// The ranks of a case must go on from the same numbers.
void expect_same_everywhere(const std::vector<double>& values, const Control& ranks) {
  std::vector<double> largest = values, smallest = values;
  ranks.reduce_max(largest);
  ranks.reduce_min(smallest);
  EXPECT_EQ(largest, values);
  EXPECT_EQ(smallest, values);
}

class EveryCase : public testing::TestWithParam<Variant> {};

TEST_P(EveryCase, ClosesAndCountsItsMemory) {
  for (std::int64_t degree = 1; degree <= world().size(); ++degree) {
    SCOPED_TRACE(testing::Message() << "degree " << degree);
    Case point = make_case(GetParam(), {12, 60, 132, 6, 12, 4});
    point.layout.tp = degree;
    point.num_layers = 2;
    normalise_case(point);
    if (!can_split(point)) continue;
    const Team& team = team_for(point);
    if (!team.member()) continue;
    const CaseOutcome outcome = run(point, built_in_parts());
    EXPECT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("");
    expect_closure(outcome.samples);
    expect_same_everywhere(outcome.samples.step_s, *team.active);
    expect_same_everywhere(outcome.samples.wait_s, *team.active);
    EXPECT_GE(outcome.samples.step_s.size(), 1U);
    EXPECT_LE(outcome.samples.step_s.size(), static_cast<std::size_t>(quick_settings().measure.max_samples));
    EXPECT_EQ(outcome.memory, point.workload_row().cost(point.shape()).memory);
    EXPECT_EQ(outcome.backend_threads, 1);
    if (degree == 1) {
      for (const double communication_s : outcome.samples.communication_s) EXPECT_EQ(communication_s, 0);
    }
    for (const char* phase : {"setup", "fill", "verification", "warm_up", "sampling", "total"}) {
      EXPECT_TRUE(outcome.phases_s.contains(phase)) << phase;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryCase, testing::ValuesIn(all_variants()),
                         [](const auto& test) { return name_of_variant(test.param); });

TEST(Reference, StandsBesideTheSamplesAndNotInTheMemory) {
  Case point = make_case({"row_linear"}, {12, 60, 132, 6, 12, 12});
  point.layout.tp = world().size();
  ReferenceWork work;
  CaseSettings settings = quick_settings();
  const CaseOutcome without = run(point, built_in_parts(), settings);
  settings.reference = &work;
  const CaseOutcome with = run(point, built_in_parts(), settings);
  EXPECT_FALSE(without.reference);
  ASSERT_TRUE(with.reference);
  for (const ReferenceTimes& times : {with.reference->before, with.reference->after}) {
    EXPECT_GT(times.gemm_s, 1e-5);
    EXPECT_GT(times.copy_s, 1e-6);
    EXPECT_GE(times.gemm_slowest_s, times.gemm_s);
    EXPECT_GE(times.copy_slowest_s, times.copy_s);
    expect_same_everywhere(std::vector<double>{times.gemm_s, times.copy_slowest_s}, *team_for(point).active);
  }
  EXPECT_GT(with.phases_s.at("reference"), 0);
  EXPECT_EQ(with.memory, without.memory);
#if defined(__SANITIZE_ADDRESS__)
  return;  // what a sanitizer keeps beside each allocation comes and goes in megabytes
#endif
  if (!with.process_peak_rss || !without.process_peak_rss) return;
  // The first of the two was run without the work's memory taken off, though it was there as well.
  EXPECT_NEAR(static_cast<double>(*without.process_base_rss - *with.process_base_rss), kReferenceBytes, 2e6);
  EXPECT_NEAR(static_cast<double>(*without.process_peak_rss - *with.process_peak_rss), kReferenceBytes, 2e6);
}

TEST(Groups, RunAtTheSameTimeAsReplicas) {
  Case point = make_case({"row_linear"}, {12, 60, 132, 6, 12, 12});
  point.groups = Groups::all;
  for (std::int64_t degree = 1; degree <= world().size(); ++degree) {
    SCOPED_TRACE(testing::Message() << "degree " << degree);
    point.layout.tp = degree;
    const Team& team = team_for(point);
    const auto groups = static_cast<std::size_t>(world().size() / degree);
    EXPECT_EQ(team.groups.size(), groups);
    EXPECT_EQ(team.member(), world().rank() < static_cast<int>(groups) * degree);
    if (!team.member()) continue;
    EXPECT_EQ(team.group->size(), degree);
    EXPECT_EQ(team.active->size(), static_cast<int>(groups) * degree);
    const CaseOutcome outcome = run(point, built_in_parts());
    EXPECT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("");
    expect_closure(outcome.samples);
    expect_same_everywhere(outcome.samples.step_s, *team.active);
    expect_same_everywhere(outcome.samples.communication_s, *team.active);
  }
}

TEST(Groups, OneGroupLeavesTheOthersOut) {
  for (std::int64_t degree = 1; degree <= world().size(); ++degree) {
    const Team& team = first_ranks(degree);
    EXPECT_EQ(team.groups.size(), 1U);
    EXPECT_EQ(team.member(), world().rank() < degree);
    EXPECT_EQ(team.active.has_value(), team.member());
  }
}

// The order of ranks is what the placement says; the layer's rank follows it.
TEST(Groups, FollowThePlacement) {
  for (const Placement placement : {Placement::packed, Placement::spread}) {
    Case point = make_case({"row_linear"}, {12, 60, 132, 6, 12, 12});
    point.placement = placement;
    point.layout.tp = world().size();
    const Team& team = team_for(point);
    const std::vector<int>& group = team.groups.front();
    ASSERT_EQ(group.size(), static_cast<std::size_t>(world().size()));
    EXPECT_EQ(group.front(), 0);
    EXPECT_EQ(group[static_cast<std::size_t>(team.group->rank())], world().rank());
    EXPECT_EQ(run(point, built_in_parts()).status, Status::ok);
  }
}

TEST(Sampling, RepeatsWhatARankBeganTooLate) {
  const Team& team = first_ranks(world().size());
  team.clock->restart();
  if (!team.clock->is_aligned()) GTEST_SKIP() << "these clocks are not known well enough just now";
  Heartbeat heartbeat;
  Trace trace(heartbeat);
  int runs = 0;
  const StepRunner runner{[&](Trace& step) {
                            step.begin(Activity::compute);
                            ++runs;
                            step.end();
                          },
                          {}};
  run_batch(runner, 3, team, trace);  // margins are learned
  EXPECT_EQ(trace.held().steps.size(), 3U);
  trace.forget();
  runs = 0;
  const std::int64_t late_before = team.start->late_starts(), starts_before = team.start->starts();
  // The last rank is held up in the call that tells it when the second step begins.
  if (world().rank() == world().size() - 1) hold_up_all_reduce(2, std::chrono::milliseconds(50));
  run_batch(runner, 4, team, trace);
  EXPECT_EQ(trace.held().steps.size(), 4U);
  if (world().size() == 1) return;
  const std::int64_t late = team.start->late_starts() - late_before;
  EXPECT_GE(late, 1);
  EXPECT_EQ(runs, 4 + late) << "each late step is run again, and no other";
  EXPECT_EQ(team.start->starts() - starts_before, 4 + late);
  for (const StepSpan& step : trace.held().steps) {
    EXPECT_GE(trace.held().steps[0].end_ns, trace.held().steps[0].start_ns);
    EXPECT_LT(step.end_ns - step.start_ns, 50'000'000) << "the late step is still there";
  }
}

// Rank 1 sleeps inside its compute: the others wait for it, and the collective has nothing to do with that.
TEST(Sampling, ARankThatComputesLongerIsNoCommunication) {
  if (world().size() < 2) GTEST_SKIP() << "needs another rank";
  Case point = make_case({"row_linear"}, {12, 60, 132, 6, 12, 12});
  point.layout.tp = world().size();
  InjectedFault slow;
  slow.kind = FaultKind::slow;
  slow.milliseconds = 100;
  slow.rank = 1;
  const CaseOutcome outcome = run(point, with_fault(built_in_parts(), slow, world().rank()));
  ASSERT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("");
  const Samples& samples = outcome.samples;
  expect_closure(samples);
  if (!samples.communication_known) GTEST_SKIP() << "these clocks are not known well enough just now";
  for (std::size_t k = 0; k < samples.step_s.size(); ++k) {
    EXPECT_GE(samples.compute_s[k], 0.1);
    EXPECT_LT(samples.communication_s[k], samples.wait_s[k]);
    EXPECT_GE(samples.imbalance_s[k], 0.9 * samples.wait_s[k]);
    EXPECT_LE(samples.wait_mean_s[k], samples.wait_s[k]);
  }
}

}  // namespace
}  // namespace tpbench::test
