// What run_case brings of a case that is as it should be.
#include "bench/sampling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "compute/reference_work.hpp"
#include "run_case.hpp"

namespace tpbench::test {
namespace {

void expect_closure(const Samples& samples) {
  const std::size_t count = samples.step_s.size();
  ASSERT_GT(count, 0U);
  ASSERT_EQ(samples.compute_s.size(), count);
  ASSERT_EQ(samples.communication_s.size(), count);
  ASSERT_EQ(samples.wait_s.size(), count);
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
    point.tp_degree = degree;
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
  point.tp_degree = world().size();
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
    point.tp_degree = degree;
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
    point.tp_degree = world().size();
    const Team& team = team_for(point);
    const std::vector<int>& group = team.groups.front();
    ASSERT_EQ(group.size(), static_cast<std::size_t>(world().size()));
    EXPECT_EQ(group.front(), 0);
    EXPECT_EQ(group[static_cast<std::size_t>(team.group->rank())], world().rank());
    EXPECT_EQ(run(point, built_in_parts()).status, Status::ok);
  }
}

// Segment by segment, the longest compute and the shortest collective.
TEST(ReduceBatch, TakesMaximaAndMinimaOverRanks) {
  const Team& team = first_ranks(world().size());
  Heartbeat heartbeat;
  Trace trace(heartbeat);
  trace.start_batch(5);
  for (int k = 0; k < 5; ++k) {
    trace.begin_step();
    const auto mark = [&](Activity activity, std::int64_t bytes) {
      trace.begin(activity, bytes);
      trace.end();
    };
    mark(Activity::compute, 0);
    mark(Activity::all_reduce, 40);
    trace.turn(Direction::backward);
    mark(Activity::compute, 0);
    mark(Activity::reduce_scatter, 80);
    trace.end_step();
  }
  std::vector<double> segments(trace.segment_s().begin(), trace.segment_s().end());
  std::vector<double> longest = segments, shortest = segments;
  world().reduce_max(longest);
  world().reduce_min(shortest);

  Samples samples;
  reduce_batch(trace, team, samples);
  expect_closure(samples);
  ASSERT_EQ(samples.step_s.size(), 5U);
  for (std::size_t k = 0; k < 5; ++k) {
    const std::size_t i = 4 * k;
    EXPECT_DOUBLE_EQ(samples.compute_s[k], longest[i] + longest[i + 2]);
    EXPECT_DOUBLE_EQ(samples.communication_s[k], shortest[i + 1] + shortest[i + 3]);
    EXPECT_NEAR(samples.wait_s[k], longest[i + 1] - shortest[i + 1] + longest[i + 3] - shortest[i + 3],
                1e-15);
    EXPECT_DOUBLE_EQ(samples.compute_by_half_s[0][k], longest[i]);
    EXPECT_DOUBLE_EQ(samples.compute_by_half_s[1][k], longest[i + 2]);
    ASSERT_EQ(samples.collectives.size(), 2U);
    EXPECT_EQ(samples.collectives[0].kind, (Segment{Activity::all_reduce, Direction::forward, 40}));
    EXPECT_DOUBLE_EQ(samples.collectives[0].communication_s[k], shortest[i + 1]);
    EXPECT_EQ(samples.collectives[1].kind, (Segment{Activity::reduce_scatter, Direction::backward, 80}));
    EXPECT_DOUBLE_EQ(samples.collectives[1].communication_s[k], shortest[i + 3]);
  }
}

// Replicas that spend their steps differently: the parts are those of the slowest one, so that they add up.
TEST(ReduceBatch, TakesTheSlowestOfSeveralGroups) {
  Case point = make_case({"gemm"}, {12, 60, 132, 6, 12, 12});
  point.groups = Groups::all;
  point.tp_degree = 1;
  const Team& team = team_for(point);
  Heartbeat heartbeat;
  Trace trace(heartbeat);
  trace.start_batch(1);
  const auto pause = [](int milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  };
  const bool computes = world().rank() == 0;  // the other groups communicate for as long, and end sooner
  trace.begin_step();
  trace.begin(Activity::compute);
  pause(computes ? 60 : 1);
  trace.end();
  trace.begin(Activity::all_reduce);
  pause(computes ? 1 : 40);
  trace.end();
  trace.end_step();

  Samples samples;
  reduce_batch(trace, team, samples);
  expect_closure(samples);
  EXPECT_GE(samples.other_s[0], 0) << "maxima over groups would exceed the step by 40 ms";
  if (computes) {
    EXPECT_DOUBLE_EQ(samples.compute_s[0], trace.segment_s()[0]);
    EXPECT_DOUBLE_EQ(samples.communication_s[0], trace.segment_s()[1]);
  }
}

}  // namespace
}  // namespace tpbench::test
