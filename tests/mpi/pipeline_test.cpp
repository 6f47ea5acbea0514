#include <gtest/gtest.h>

#include <map>

#include "bench/case_cost.hpp"
#include "forwarding_point_to_point.hpp"
#include "pipelined_cases.hpp"
#include "workload/pipeline_plan.hpp"

namespace tpbench::test {
namespace {

// What verification, memory and messages of a case come to.
void expect_right(const Case& point) {
  if (!fits(point) || !team_for(point).member()) return;
  const CaseOutcome outcome = run(point, built_in_parts());
  ASSERT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("") << said_of(point);
  EXPECT_TRUE(outcome.verification.passed.value_or(false));
  EXPECT_GT(outcome.verification.rows_checked, 0);
  const Shape shape = point.shape();
  const PipelineSamples& pipeline = outcome.samples.pipeline;
  const BoundaryTraffic traffic = boundary_traffic(shape);
  EXPECT_EQ(pipeline.messages, traffic.messages) << said_of(point);
  EXPECT_EQ(pipeline.bytes, traffic.bytes) << said_of(point);
  ASSERT_EQ(outcome.stage_memory.size(), static_cast<std::size_t>(shape.layout.pp));
  for (std::int64_t rank = 0; rank < shape.layout.pp; ++rank) {
    const MemoryByCategory predicted = cost_of_stage(point, point.layout, rank).memory;
    const MemoryByCategory& counted = outcome.stage_memory[static_cast<std::size_t>(rank)];
    for (std::size_t category = 0; category < kCategoryCount; ++category)
      EXPECT_EQ(counted.bytes[category], predicted.bytes[category])
          << "category " << category << " of rank " << rank << ": " << said_of(point);
  }
  // The parts of each rank add up to the step.
  for (const StageSamples& rank : pipeline.ranks) {
    ASSERT_EQ(rank.compute_s.size(), outcome.samples.step_s.size());
    for (std::size_t k = 0; k < rank.compute_s.size(); ++k) {
      EXPECT_NEAR(rank.compute_s[k] + rank.communication_s[k] + rank.boundary_s[k] + rank.input_wait_s[k] +
                      rank.end_wait_s[k] + rank.other_s[k],
                  outcome.samples.step_s[k], 1e-9);
      for (const double part : {rank.compute_s[k], rank.boundary_s[k], rank.input_wait_s[k]})
        EXPECT_GE(part, 0);
    }
  }
}

TEST(Pipeline, IsVerifiedAndCounted) {
  for (const Layout& layout : {Layout{1, 2}, Layout{2, 2}, Layout{1, 4}}) {
    for (const Schedule schedule : kSchedules) {
      for (const std::int64_t microbatches : {1, 4, 8}) {
        Case point = piped(layout.tp, layout.pp, schedule, microbatches);
        point.activation = Activation::swiglu;
        if (!has_schedule(point)) continue;
        expect_right(point);
        if (layout.tp == 1) continue;
        point.boundary = Boundary::scattered;
        expect_right(point);
        point.sequence_parallel = true;
        normalise_case(point);
        expect_right(point);
      }
    }
  }
}

TEST(Pipeline, OfAForwardPassIsVerifiedAndCounted) {
  for (const Layout& layout : {Layout{1, 2}, Layout{2, 2}, Layout{1, 4}}) {
    for (const std::int64_t microbatches : {1, 4}) {
      for (const std::int64_t virtual_stages : {1, 2}) {
        Case point = piped(layout.tp, layout.pp, Schedule::gpipe, microbatches, Pass::forward);
        point.virtual_stages = virtual_stages;
        if (!has_schedule(point)) continue;
        expect_right(point);
        point.sequence_length = 1;
        point.context_length = 5;
        expect_right(point);
      }
    }
  }
}

void expect_right_one_stage(const Case& point) {
  if (!fits(point) || !team_for(point).member()) return;
  const CaseOutcome outcome = run(point, built_in_parts());
  ASSERT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("") << said_of(point);
  EXPECT_TRUE(outcome.verification.passed.value_or(false)) << said_of(point);
  const MemoryByCategory predicted = cost_of_stage(point, point.layout, 0).memory;
  for (std::size_t category = 0; category < kCategoryCount; ++category)
    EXPECT_EQ(outcome.memory->bytes[category], predicted.bytes[category])
        << "category " << category << ": " << said_of(point);
}

TEST(Pipeline, OfAModelIsVerifiedAndCounted) {
  for (const Layout& layout : {Layout{1, 1}, Layout{2, 1}, Layout{1, 2}, Layout{2, 2}, Layout{1, 4}}) {
    for (const Schedule schedule : kSchedules) {
      if (layout.pp == 1 && schedule != kSchedules[0]) continue;  // has none
      for (const bool sequence_parallel : {false, true}) {
        Case point = piped_model(layout.tp, layout.pp, schedule, 4);
        point.sequence_parallel = sequence_parallel;
        normalise_case(point);
        for (const bool tied : {false, true}) {
          point.tie_embeddings = tied;
          if (layout.pp == 1)
            expect_right_one_stage(point);
          else if (has_schedule(point))
            expect_right(point);
        }
      }
    }
  }
}

TEST(Pipeline, OfAModelsForwardPassIsVerifiedAndCounted) {
  for (const Layout& layout : {Layout{1, 1}, Layout{2, 1}, Layout{1, 2}, Layout{2, 2}, Layout{1, 4}}) {
    for (const Logits logits : {Logits::last, Logits::all}) {
      for (const bool tied : {false, true}) {
        for (const std::int64_t context : {0, 5}) {
          Case point = piped_model(layout.tp, layout.pp, Schedule::gpipe, 4, Pass::forward);
          point.logits = logits;
          point.tie_embeddings = tied;
          point.context_length = context;
          if (context > 0) point.sequence_length = 1;
          if (layout.pp > 1)
            expect_right(point);
          else
            expect_right_one_stage(point);
        }
      }
    }
  }
}

TEST(Pipeline, OfAModelIsVerifiedBySamples) {
  for (const Layout& layout : {Layout{1, 1}, Layout{1, 2}, Layout{2, 2}}) {
    for (const Pass pass : {Pass::forward, Pass::forward_backward}) {
      for (const Schedule schedule : {Schedule::gpipe, Schedule::one_f_one_b, Schedule::zb_h1}) {
        const Case point = piped_model(layout.tp, layout.pp, schedule, 4, pass);
        if (!fits(point) || !team_for(point).member()) continue;
        CaseSettings settings = quick_settings();
        settings.verify = VerifyMode::sampled;
        settings.measure.max_samples = 3;
        const CaseOutcome outcome = run(point, built_in_parts(), settings);
        EXPECT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("") << said_of(point);
        EXPECT_GT(outcome.verification.operations_checked, 0);
        EXPECT_LE(outcome.verification.worst_operation.value_or(9), 1) << said_of(point);
      }
    }
  }
}

// Every operation by itself, and that there are as many as the formulas of the stage say: key/value heads
// that ranks share, gathered messages, and rows that are split among them.
TEST(Pipeline, IsVerifiedBySamples) {
  for (const Layout& layout : {Layout{1, 2}, Layout{2, 2}}) {
    for (const Schedule schedule : kSchedules) {
      for (const Boundary boundary : {Boundary::whole, Boundary::scattered}) {
        for (const bool sequence_parallel : {false, true}) {
          Case point = piped(layout.tp, layout.pp, schedule, 4);
          point.num_kv_heads = 1;
          point.boundary = boundary;
          point.sequence_parallel = sequence_parallel;
          normalise_case(point);
          if (!fits(point) || !team_for(point).member()) continue;
          CaseSettings settings = quick_settings();
          settings.verify = VerifyMode::sampled;
          settings.measure.max_samples = 3;
          const CaseOutcome outcome = run(point, built_in_parts(), settings);
          EXPECT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("") << said_of(point);
          EXPECT_GT(outcome.verification.operations_checked, 0);
          EXPECT_LE(outcome.verification.worst_operation.value_or(9), 1) << said_of(point);
        }
      }
    }
  }
}

// -- faults

// Messages of which one that arrives, in each step, is not what was sent.
class WrongMessages final : public ForwardingPointToPoint {
 public:
  enum class Fault { corrupted, swapped };
  WrongMessages(std::unique_ptr<PointToPoint> inner, Fault fault)
      : ForwardingPointToPoint(std::move(inner)), fault_(fault) {}

  void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) override {
    data_[ticket] = data;
    ForwardingPointToPoint::start_receive(ticket, from, fault_ == Fault::swapped ? swapped(tag) : tag, data);
  }
  void wait(std::size_t ticket) override {
    ForwardingPointToPoint::wait(ticket);
    const auto found = data_.find(ticket);
    if (fault_ != Fault::corrupted || found == data_.end() || ++waits_ != 2) return;
    reinterpret_cast<float*>(found->second.data())[found->second.size() / sizeof(float) / 2] += 1.0F;
  }

 private:
  // Microbatches 0 and 1 of one stage.
  static int swapped(int tag) {
    constexpr int kMicrobatches = 4;
    const int microbatch = tag / kChannels % kMicrobatches;
    if (channel_of(tag) != static_cast<int>(Direction::forward) || microbatch > 1) return tag;
    return tag + (microbatch == 0 ? kChannels : -kChannels);
  }

  Fault fault_;
  std::map<std::size_t, std::span<std::byte>> data_;
  int waits_ = 0;
};

CaseOutcome run_with(WrongMessages::Fault fault, const Case& point, VerifyMode mode) {
  Parts parts = built_in_parts();
  parts.make_point_to_point = [fault](const std::string&, const Control& stages,
                                      const PointToPointNeeds& needs, DeviceSide*) {
    return std::make_unique<WrongMessages>(make_point_to_point(stages, needs), fault);
  };
  CaseSettings settings = quick_settings();
  settings.verify = mode;
  return run(point, parts, settings);
}

TEST(PipelineFaults, AreFound) {
  if (world().size() < 2) GTEST_SKIP() << "one rank";
  for (const auto fault : {WrongMessages::Fault::corrupted, WrongMessages::Fault::swapped}) {
    for (const Pass pass : {Pass::forward, Pass::forward_backward}) {
      for (const VerifyMode mode : {VerifyMode::full, VerifyMode::sampled}) {
        if (mode == VerifyMode::sampled && fault == WrongMessages::Fault::corrupted) continue;
        const Case point = piped(1, 2, Schedule::gpipe, 4, pass);
        if (!team_for(point).member()) continue;
        const CaseOutcome outcome = run_with(fault, point, mode);
        EXPECT_EQ(outcome.status, Status::failed) << name_of(mode) << said_of(point);
        EXPECT_EQ(outcome.reason_code, ReasonCode::verification);
      }
    }
  }
}

}  // namespace
}  // namespace tpbench::test
