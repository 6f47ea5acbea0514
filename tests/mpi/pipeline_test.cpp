#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/json.hpp"
#include "bench/case_cost.hpp"
#include "bench/case_machine.hpp"
#include "comm/device_point_to_point.hpp"
#include "forwarding_point_to_point.hpp"
#include "layers/layer.hpp"
#include "pretended_device.hpp"
#include "run_case.hpp"
#include "workload/pipeline_plan.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

// A block of eight weight sets on a pipeline.
Case piped(std::int64_t tp, std::int64_t pp, Schedule schedule, std::int64_t microbatches,
           Pass pass = Pass::forward_backward) {
  Case point;
  point.workload = "block";
  point.pass = pass;
  point.hidden_size = 32;
  point.ffn_hidden_size = 48;
  point.num_heads = 8;
  point.num_kv_heads = 2;
  point.num_layers = 8;
  point.batch_size = 8;
  point.sequence_length = 4;
  point.layout = {.tp = tp, .pp = pp};
  point.microbatches = microbatches;
  point.schedule = schedule;
  point.virtual_stages = schedule == Schedule::interleaved ? 2 : 1;
  point.threads_per_rank = 1;
  normalise_case(point);
  return point;
}

// A model of eight layers; rows of its vocabulary are padded on four ranks and on two.
Case piped_model(std::int64_t tp, std::int64_t pp, Schedule schedule, std::int64_t microbatches,
                 Pass pass = Pass::forward_backward) {
  Case point = piped(tp, pp, schedule, microbatches, pass);
  point.workload = "model";
  point.vocab_size = 37;
  point.logits = Logits::last;
  point.tie_embeddings = false;
  normalise_case(point);
  return point;
}

constexpr Schedule kSchedules[] = {Schedule::gpipe, Schedule::one_f_one_b, Schedule::interleaved,
                                   Schedule::zb_h1};

std::uint64_t hash_of(const MatrixView& view) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (std::int64_t row = 0; row < view.rows; ++row) {
    const auto* bytes = static_cast<const unsigned char*>(view.row(row));
    for (std::int64_t i = 0; i < view.columns * size_of(view.dtype); ++i)
      hash = (hash ^ bytes[i]) * 0x100000001b3U;
  }
  return hash;
}

// Every result of a step on every rank of the world, by what it is: the same result on two ranks must have
// the same bits.
std::map<std::string, std::string> results_of(const Case& point, const Parts& parts = built_in_parts()) {
  std::string own;
  if (const Team& team = team_for(point); team.member()) {
    Heartbeat heartbeat;
    CaseMachine machine(point, team, parts, heartbeat);
    machine.make_layer();
    machine.layer().fill(heartbeat);
    for (int step = 0; step < 2; ++step) {  // the second in places that the first has used
      machine.layer().poison_all();
      Trace trace(heartbeat);
      trace.begin_step();
      run_step(machine.layer(), machine.shape(), trace);
      trace.end_step();
    }
    machine.stop_asking();
    for (const StepResult& step : machine.layer().step_results())
      own += fmt::format("{}:{}:{}:{}:{} {:x}\n", step.result.name, step.layer, name_of(step.direction),
                         step.result.first_row, step.result.first_column, hash_of(step.result.local));
  }
  std::map<std::string, std::string> all;
  for (const std::string& text : world().all_gather(own)) {
    std::istringstream lines(text);
    for (std::string what, hash; lines >> what >> hash;) {
      const auto [place, is_new] = all.try_emplace(what, hash);
      EXPECT_TRUE(is_new || place->second == hash) << what << " differs between ranks";
    }
  }
  return all;
}

// What half of the ranks can run is run on fewer.
bool fits(const Case& point) {
  return point.layout.ranks() <= world().size() && 2 * point.layout.ranks() > world().size();
}
bool has_schedule(const Case& point) {
  return !why_impossible(point.workload_row(), point.shape()) &&
         !why_not_divisible(point.workload_row(), point.shape());
}

std::string said_of(const Case& point) { return case_to_json(point).dump(); }

constexpr Layout kLayouts[] = {{1, 2}, {2, 2}, {1, 4}, {4, 2}, {2, 4}, {1, 3}};

void expect_bits_of_one_stage(const Case& point, std::size_t least_results) {
  if (!fits(point) || !has_schedule(point)) return;
  Case one_stage = point;
  one_stage.layout.pp = 1;
  normalise_case(one_stage);
  // Of all schedules the same.
  static std::map<std::string, std::map<std::string, std::string>> known;
  const auto [place, is_new] = known.try_emplace(said_of(one_stage));
  if (is_new) place->second = results_of(one_stage);
  const auto& expected = place->second;
  EXPECT_GE(expected.size(), least_results);
  EXPECT_EQ(results_of(point), expected) << said_of(point);
}

class PipelineBits : public testing::TestWithParam<DType> {};

TEST_P(PipelineBits, AreThoseOfOneStage) {
  for (const Layout& layout : kLayouts) {
    for (const std::int64_t microbatches : {2, 4, 8}) {
      for (const Schedule schedule : kSchedules) {
        for (const bool sequence_parallel : {false, true}) {
          Case point = piped(layout.tp, layout.pp, schedule, microbatches);
          point.dtype = GetParam();
          point.sequence_parallel = sequence_parallel;
          point.activation = sequence_parallel ? Activation::swiglu : Activation::gelu;
          point.norm.reset();
          normalise_case(point);
          expect_bits_of_one_stage(point, 51);
        }
      }
    }
  }
}

TEST_P(PipelineBits, OfAForwardPassAreThoseOfOneStage) {
  for (const Layout& layout : kLayouts) {
    for (const std::int64_t microbatches : {2, 4, 8}) {
      for (const std::int64_t virtual_stages : {1, 2}) {
        for (const std::int64_t context : {0, 3}) {
          Case point = piped(layout.tp, layout.pp, Schedule::gpipe, microbatches, Pass::forward);
          point.dtype = GetParam();
          point.context_length = context;
          point.sequence_length = context > 0 ? 1 : 4;
          point.virtual_stages = virtual_stages;
          point.boundary = layout.tp > 1 ? std::optional(Boundary::scattered) : std::nullopt;
          expect_bits_of_one_stage(point, 1);
        }
      }
    }
  }
}

TEST_P(PipelineBits, OfAModelAreThoseOfOneStage) {
  for (const Layout& layout : kLayouts) {
    for (const std::int64_t microbatches : {2, 4, 8}) {
      for (const Schedule schedule : kSchedules) {
        for (const bool sequence_parallel : {false, true}) {
          Case point = piped_model(layout.tp, layout.pp, schedule, microbatches);
          point.dtype = GetParam();
          point.sequence_parallel = sequence_parallel;
          normalise_case(point);
          expect_bits_of_one_stage(point, 60);
          point.tie_embeddings = true;
          expect_bits_of_one_stage(point, 60);
        }
      }
    }
  }
}

TEST_P(PipelineBits, OfAModelsForwardPassAreThoseOfOneStage) {
  for (const Layout& layout : kLayouts) {
    for (const std::int64_t virtual_stages : {1, 2}) {
      for (const Logits logits : {Logits::last, Logits::all}) {
        for (const bool tied : {false, true}) {
          for (const std::int64_t context : {0, 3}) {
            Case point = piped_model(layout.tp, layout.pp, Schedule::gpipe, 4, Pass::forward);
            point.dtype = GetParam();
            point.logits = logits;
            point.tie_embeddings = tied;
            point.context_length = context;
            point.sequence_length = context > 0 ? 1 : 4;
            point.virtual_stages = virtual_stages;
            expect_bits_of_one_stage(point, 8);
          }
        }
      }
    }
  }
}

// Messages that find each other by their order on a link alone, as those of NCCL do; from and to a device.
class OrderedMessages final : public ForwardingPointToPoint {
 public:
  OrderedMessages(const Control& stages, const PointToPointNeeds& needs)
      : ForwardingPointToPoint(make_staged_point_to_point(stages, needs, device_)), links_(needs.links) {}

  void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) override {
    const int next = next_on({from, rank(), channel_of(tag)}, received_);
    ForwardingPointToPoint::start_receive(ticket, from, next, data);
  }
  void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) override {
    const int next = next_on({rank(), to, channel_of(tag)}, sent_);
    ForwardingPointToPoint::start_send(ticket, to, next, data);
  }

 private:
  using Counts = std::map<std::size_t, int>;

  int next_on(const Link& link, Counts& counts) {
    const auto found = std::find_if(links_.begin(), links_.end(), [&](const Link& asked) {
      return asked.from == link.from && asked.to == link.to && asked.channel == link.channel;
    });
    EXPECT_NE(found, links_.end()) << link.from << " to " << link.to << " on " << link.channel;
    return tag_in(link.channel, counts[static_cast<std::size_t>(found - links_.begin())]++ % 1000);
  }

  static inline PretendedDevice device_;
  std::vector<Link> links_;
  Counts received_, sent_;  // by link
};

// Between hosts MPI carries the messages, here in many pieces; and those of a device.
TEST_P(PipelineBits, ByOtherMessagesAreTheSame) {
  Parts over_mpi = built_in_parts(), by_order = over_mpi;
  over_mpi.make_point_to_point = [](const std::string&, const Control& stages, const PointToPointNeeds& needs,
                                    DeviceSide*) {
    return make_mpi_point_to_point(stages, needs.tickets, 1000);
  };
  by_order.make_point_to_point = [](const std::string&, const Control& stages, const PointToPointNeeds& needs,
                                    DeviceSide*) { return std::make_unique<OrderedMessages>(stages, needs); };
  const auto expect_the_same = [&](Case point) {
    point.dtype = GetParam();
    normalise_case(point);
    if (!fits(point) || !has_schedule(point)) return;
    const auto bits = results_of(point);
    EXPECT_EQ(results_of(point, over_mpi), bits) << said_of(point);
    EXPECT_EQ(results_of(point, by_order), bits) << said_of(point);
  };
  for (const Layout& layout : {Layout{1, 2}, Layout{2, 2}, Layout{1, 4}}) {
    for (const Schedule schedule : kSchedules) {
      for (const Pass pass : {Pass::forward, Pass::forward_backward})
        expect_the_same(piped(layout.tp, layout.pp, schedule, 4, pass));
      Case tied = piped_model(layout.tp, layout.pp, schedule, 4);
      tied.tie_embeddings = true;
      expect_the_same(tied);
    }
    Case scattered = piped(layout.tp, layout.pp, Schedule::one_f_one_b, 4, Pass::forward_backward);
    scattered.boundary = Boundary::scattered;
    expect_the_same(scattered);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PipelineBits, testing::Values(DType::f32, DType::f64),
                         [](const auto& dtype) { return std::string(name_of(dtype.param)); });

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
