// Whatever the schedule, the split and what carries the messages: the same bits.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "bench/case_machine.hpp"
#include "comm/device_point_to_point.hpp"
#include "forwarding_point_to_point.hpp"
#include "layers/layer.hpp"
#include "pipelined_cases.hpp"
#include "pretended_device.hpp"

namespace tpbench::test {
namespace {

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
    auto& staged = dynamic_cast<StagedLayer&>(machine.layer());
    staged.fill(heartbeat);
    for (int step = 0; step < 2; ++step) {  // the second in places that the first has used
      staged.poison();
      Trace trace(heartbeat);
      trace.begin_step();
      staged.run_step(trace);
      trace.end_step();
    }
    machine.stop_asking();
    for (const StepResult& step : staged.results())
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

}  // namespace
}  // namespace tpbench::test
