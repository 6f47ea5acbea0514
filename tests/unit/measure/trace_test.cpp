#include "measure/trace.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
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
  std::vector<Activity> events() const {
    std::vector<Activity> activities;
    for (const EventKey& event : trace_.held().events) activities.push_back(event.kind);
    return activities;
  }

  Heartbeat heartbeat_;
  Trace trace_{heartbeat_};
};

TEST_F(TraceTest, MergesNeighbouringCompute) {
  run_step({Activity::compute, Activity::compute, Activity::all_reduce, Activity::compute, Activity::compute,
            Activity::compute});
  EXPECT_EQ(events(), (std::vector{Activity::compute, Activity::all_reduce, Activity::compute}));
}

TEST_F(TraceTest, KeepsNeighbouringCollectivesApart) {
  run_step({Activity::all_reduce, Activity::all_reduce, Activity::all_gather});
  EXPECT_EQ(events(), (std::vector{Activity::all_reduce, Activity::all_reduce, Activity::all_gather}));
}

// Compute before, in and behind a model's layers are events of their own, and so is that of two layers.
TEST_F(TraceTest, TellsTheLayersOfAModelApart) {
  const auto compute = [this] {
    trace_.begin(Activity::compute);
    trace_.end();
  };
  for (int step = 0; step < 2; ++step) {
    trace_.begin_step();
    compute();
    for (int layer = 0; layer < 2; ++layer) {
      trace_.enter_layers(true);
      compute();
      compute();
      trace_.enter_layers(false);
    }
    compute();
    trace_.end_step();
  }
  std::vector<bool> in_layers;
  for (const EventKey& event : trace_.held().events) in_layers.push_back(event.in_layers);
  EXPECT_EQ(in_layers, (std::vector{false, true, true, false}));
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
  const std::vector<EventKey> expected = {{Activity::compute, Direction::forward, 0},
                                          {Activity::compute, Direction::backward, 0},
                                          {Activity::all_reduce, Direction::backward, 64}};
  EXPECT_EQ(trace_.held().events, expected);
  trace_.begin_step();
  mark(Activity::compute);
  trace_.turn(Direction::backward);
  mark(Activity::compute);
  EXPECT_THROW(mark(Activity::all_reduce, 65), std::logic_error) << "another size is another event";
}

TEST_F(TraceTest, DoesNotMergeAcrossSteps) {
  run_step({Activity::compute});
  run_step({Activity::compute});
  EXPECT_EQ(events(), (std::vector{Activity::compute}));
  EXPECT_EQ(trace_.held().steps.size(), 2U);
}

// What runs in a step stands between its ends, one after the other.
TEST_F(TraceTest, HoldsStepAfterStep) {
  run_step({Activity::compute, Activity::all_reduce});
  trace_.forget();
  EXPECT_TRUE(trace_.held().steps.empty());
  EXPECT_EQ(events().size(), 2U) << "the list stays";
  trace_.reserve(2);
  run_step({Activity::compute, Activity::all_reduce});
  run_step({Activity::compute, Activity::all_reduce});
  trace_.reserve(1);
  run_step({Activity::compute, Activity::all_reduce});
  ASSERT_EQ(trace_.held().steps.size(), 3U);
  std::int64_t last = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    const StepSpan& step = trace_.held().steps[k];
    const auto spans = trace_.held().spans_of(k);
    for (const std::int64_t mark : {step.start_ns, spans[0].start_ns, spans[0].end_ns, spans[1].start_ns,
                                    spans[1].end_ns, step.end_ns}) {
      EXPECT_LE(last, mark);
      last = mark;
    }
  }
}

TEST_F(TraceTest, CountsAStepFromTheAgreedStart) {
  const std::int64_t agreed = now_ns();
  trace_.prepare_step();
  trace_.begin_step(agreed);
  trace_.begin(Activity::compute);
  trace_.end();
  trace_.end_step();
  EXPECT_EQ(trace_.held().steps[0].start_ns, agreed);
  EXPECT_GE(trace_.held().spans_of(0)[0].start_ns, agreed);
}

TEST_F(TraceTest, MergedComputeLastsFromItsFirstMarkToItsLast) {
  trace_.begin_step();
  trace_.begin(Activity::compute);
  trace_.end();
  const std::int64_t between = now_ns();
  trace_.begin(Activity::compute);
  trace_.end();
  trace_.end_step();
  ASSERT_EQ(trace_.held().spans.size(), 1U);
  EXPECT_LE(trace_.held().spans[0].start_ns, between);
  EXPECT_GE(trace_.held().spans[0].end_ns, between);
}

TEST_F(TraceTest, DropsTheLastStepAlone) {
  run_step({Activity::compute, Activity::all_reduce});
  run_step({Activity::compute, Activity::all_reduce});
  const std::int64_t first = trace_.held().steps[0].start_ns;
  trace_.prepare_step();  // a sampler has done so by then
  trace_.drop_step();
  ASSERT_EQ(trace_.held().steps.size(), 1U);
  EXPECT_EQ(trace_.held().steps[0].start_ns, first);
  const std::int64_t before = now_ns();
  run_step({Activity::compute, Activity::all_reduce});
  ASSERT_EQ(trace_.held().steps.size(), 2U);
  EXPECT_EQ(trace_.held().spans.size(), 4U);
  for (const EventSpan& span : trace_.held().spans_of(1)) EXPECT_GE(span.start_ns, before);
}

// A step that ended in an exception must not leave anything behind for the next one.
TEST_F(TraceTest, ForgetsAStepThatWasNotEnded) {
  run_step({Activity::compute, Activity::all_reduce});
  trace_.begin_step();
  trace_.begin(Activity::compute);
  run_step({Activity::compute, Activity::all_reduce});
  EXPECT_EQ(trace_.held().steps.size(), 2U);
  EXPECT_EQ(trace_.held().spans.size(), 4U);
}

// Marks come when the device gets to them: ten microseconds after each other, on a clock of its own.
class SteadyDevice final : public DeviceClock {
 public:
  void mark(std::size_t index) override {
    if (index >= marks_s_.size()) marks_s_.resize(index + 1);
    marks_s_[index] = time_s_ += 10e-6;
  }
  void wait(std::size_t) override {}
  double seconds_between(std::size_t from, std::size_t to) override { return marks_s_[to] - marks_s_[from]; }

 private:
  std::vector<double> marks_s_;
  double time_s_ = 1e6;
};

TEST(DeviceTrace, PlacesItsMarksOnTheHostsClock) {
  Heartbeat heartbeat;
  SteadyDevice device;
  Trace trace(heartbeat, &device);
  const std::int64_t before = now_ns();
  trace.prepare_step();
  const std::int64_t prepared = now_ns();
  trace.begin_step(prepared);
  trace.begin(Activity::compute);
  trace.end();
  trace.begin(Activity::compute);
  trace.end();
  trace.begin(Activity::all_reduce, 8);
  trace.end();
  trace.end_step();
  const StepSpan& step = trace.held().steps[0];
  const auto spans = trace.held().spans_of(0);
  EXPECT_TRUE(trace.held().of_device);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_NEAR(static_cast<double>(spans[0].start_ns - step.start_ns), 10'000, 2)
      << "the step's own first mark";
  EXPECT_NEAR(static_cast<double>(spans[0].end_ns - spans[0].start_ns), 20'000, 2)
      << "to the last of its marks";
  EXPECT_NEAR(static_cast<double>(spans[1].start_ns - spans[0].end_ns), 10'000, 2);
  EXPECT_NEAR(static_cast<double>(step.end_ns - spans[1].end_ns), 10'000, 2);
  // The anchor is one of the marks that were made while preparing; at most three others followed it there.
  EXPECT_GE(step.start_ns, before);
  EXPECT_LE(step.start_ns, prepared + 4 * 10'000);
  EXPECT_LE(2 * step.place_error_ns, prepared - before + 1);
  EXPECT_GE(step.host_ns, 0);
}

TEST_F(TraceTest, RefusesAnotherList) {
  run_step({Activity::compute, Activity::all_reduce});
  EXPECT_THROW(run_step({Activity::compute, Activity::all_gather}), std::logic_error);
}

TEST_F(TraceTest, RefusesFewerEvents) {
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
