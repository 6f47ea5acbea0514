#include "measure/trace.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace tpbench {
namespace {

class TraceTest : public testing::Test {
 protected:
  void run_step(std::initializer_list<Activity> activities) {
    trace_.begin_step();
    for (const Activity activity : activities) {
      trace_.begin(activity);
      trace_.end();
    }
    trace_.end_step();
  }
  std::vector<Activity> segments() const {
    std::vector<Activity> activities;
    for (const Segment& segment : trace_.segments()) activities.push_back(segment.activity);
    return activities;
  }

  Heartbeat heartbeat_;
  Trace trace_{heartbeat_};
  const double trace_start_s_ = now_s();
};

TEST_F(TraceTest, MergesNeighbouringCompute) {
  run_step({Activity::compute, Activity::compute, Activity::all_reduce, Activity::compute, Activity::compute,
            Activity::compute});
  EXPECT_EQ(segments(), (std::vector{Activity::compute, Activity::all_reduce, Activity::compute}));
}

TEST_F(TraceTest, KeepsNeighbouringCollectivesApart) {
  run_step({Activity::all_reduce, Activity::all_reduce, Activity::all_gather});
  EXPECT_EQ(segments(), (std::vector{Activity::all_reduce, Activity::all_reduce, Activity::all_gather}));
}

TEST_F(TraceTest, TellsTheHalvesOfAPassApart) {
  const auto mark = [this](Activity activity, std::int64_t bytes = 0) {
    trace_.begin(activity, bytes);
    trace_.end();
  };
  for (int step = 0; step < 2; ++step) {
    trace_.begin_step();
    mark(Activity::compute);
    trace_.turn(Direction::backward);
    mark(Activity::compute);
    mark(Activity::all_reduce, 64);
    trace_.end_step();
  }
  const std::vector<Segment> expected = {{Activity::compute, Direction::forward, 0},
                                         {Activity::compute, Direction::backward, 0},
                                         {Activity::all_reduce, Direction::backward, 64}};
  EXPECT_EQ(std::vector(trace_.segments().begin(), trace_.segments().end()), expected);
  trace_.begin_step();
  mark(Activity::compute);
  trace_.turn(Direction::backward);
  mark(Activity::compute);
  EXPECT_THROW(mark(Activity::all_reduce, 65), std::logic_error) << "another size is another sequence";
}

TEST_F(TraceTest, DoesNotMergeAcrossSteps) {
  run_step({Activity::compute});
  run_step({Activity::compute});
  EXPECT_EQ(segments(), (std::vector{Activity::compute}));
  EXPECT_EQ(trace_.steps(), 2U);
}

TEST_F(TraceTest, HoldsABatchStepByStep) {
  run_step({Activity::compute, Activity::all_reduce});
  trace_.start_batch(3);
  EXPECT_EQ(trace_.steps(), 0U);
  for (int k = 0; k < 3; ++k) run_step({Activity::compute, Activity::all_reduce});
  EXPECT_EQ(trace_.steps(), 3U);
  ASSERT_EQ(trace_.step_s().size(), 3U);
  ASSERT_EQ(trace_.segment_s().size(), 3U * 2U);
  for (std::size_t k = 0; k < 3; ++k) {
    const auto parts = trace_.segment_s().subspan(2 * k, 2);
    for (const double part_s : parts) EXPECT_GE(part_s, 0);
    EXPECT_LE(std::accumulate(parts.begin(), parts.end(), 0.0), trace_.step_s()[k])
        << "a part is in its step";
  }
}

TEST_F(TraceTest, ForgetsTheBatchBefore) {
  trace_.start_batch(5);
  for (int k = 0; k < 5; ++k) run_step({Activity::compute});
  trace_.start_batch(1);
  EXPECT_TRUE(trace_.step_s().empty());
  EXPECT_TRUE(trace_.segment_s().empty());
  EXPECT_EQ(segments().size(), 1U) << "the sequence stays";
}

// A slow segment must not leave anything behind for the next step.
TEST_F(TraceTest, StartsEachStepFromZero) {
  trace_.begin_step();
  trace_.begin(Activity::compute);
  while (now_s() - trace_start_s_ < 1e-3) {
  }
  trace_.end();
  trace_.end_step();
  run_step({Activity::compute});
  EXPECT_LE(trace_.segment_s()[1], trace_.step_s()[1]);
}

TEST_F(TraceTest, RefusesAnotherSequence) {
  run_step({Activity::compute, Activity::all_reduce});
  EXPECT_THROW(run_step({Activity::compute, Activity::all_gather}), std::logic_error);
}

TEST_F(TraceTest, RefusesFewerSegments) {
  run_step({Activity::compute, Activity::all_reduce});
  EXPECT_THROW(run_step({Activity::compute}), std::logic_error);
}

TEST_F(TraceTest, ShowsSignsOfLife) {
  const auto steps = heartbeat_.step.load();
  trace_.begin_step();
  trace_.begin(Activity::compute);
  EXPECT_EQ(heartbeat_.activity.load(), Activity::compute);
  const auto beats = heartbeat_.beats.load();
  trace_.end();
  trace_.begin(Activity::all_reduce);
  EXPECT_EQ(heartbeat_.activity.load(), Activity::all_reduce);
  EXPECT_GT(heartbeat_.beats.load(), beats);
  trace_.end();
  trace_.end_step();
  EXPECT_EQ(heartbeat_.step.load(), steps + 1);
  EXPECT_EQ(heartbeat_.activity.load(), Activity::none);
}

TEST(Activities, HaveNamesOfTheirOwn) {
  for (const auto& [activity, name] : EnumNames<Activity>::table)
    EXPECT_EQ(enum_from_name<Activity>(name), activity);
  for (const auto& [phase, name] : EnumNames<Phase>::table) EXPECT_EQ(enum_from_name<Phase>(name), phase);
  EXPECT_NE(name_of(Activity::waiting), "?");
  EXPECT_NE(name_of(Phase::report), "?");
}

}  // namespace
}  // namespace tpbench
