#include "workload/pipeline_plan.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "workload/workload.hpp"

namespace tpbench {
namespace {

std::vector<PipelineShape> shapes() {
  std::vector<PipelineShape> all;
  for (const bool trains : {true, false}) {
    for (const std::int64_t p : {2, 3, 4, 5, 8}) {
      for (const std::int64_t m : {1, 2, 3, 7, 8, 16}) {
        for (const Schedule schedule : {Schedule::gpipe, Schedule::one_f_one_b, Schedule::zb_h1})
          all.push_back({.ranks = p, .microbatches = m, .schedule = schedule, .trains = trains});
        for (const std::int64_t v : {2, 3, 5}) {
          const PipelineShape interleaved = {.ranks = p,
                                             .virtual_stages = v,
                                             .microbatches = m,
                                             .schedule = Schedule::interleaved,
                                             .trains = trains};
          if (!why_no_schedule(interleaved)) all.push_back(interleaved);
        }
      }
    }
  }
  return all;
}

std::string said_of(const PipelineShape& shape) {
  return fmt::format("{} v={} m={} p={} trains={}", name_of(shape.schedule), shape.virtual_stages,
                     shape.microbatches, shape.ranks, shape.trains);
}

// What arXiv 2104.04473 and 2401.10241 say that a rank must keep.
std::int64_t in_flight(const PipelineShape& shape, std::int64_t r) {
  const std::int64_t p = shape.ranks, v = shape.virtual_stages, m = shape.microbatches;
  switch (shape.schedule) {
    case Schedule::gpipe:
      return m;
    case Schedule::one_f_one_b:
    case Schedule::zb_h1:
      return std::min(p - r, m);
    case Schedule::interleaved:
      break;
  }
  return std::min(v * m, 2 * (p - r - 1) + (v - 1) * p + 1);
}

TEST(PipelinePlan, KeepsWhatTheFormulasSay) {
  for (const PipelineShape& shape : shapes()) {
    SCOPED_TRACE(said_of(shape));
    for (std::int64_t r = 0; r < shape.ranks; ++r) {
      const RankPlan plan = plan_rank(shape, r);
      if (!shape.trains) {
        EXPECT_LE(plan.activations, 2);
        EXPECT_LE(plan.received, 2);
        continue;
      }
      EXPECT_EQ(plan.activations, in_flight(shape, r));
      EXPECT_EQ(plan.activations, most_in_flight(shape, r));
      const bool splits = shape.schedule == Schedule::zb_h1;
      if (splits) {
        EXPECT_LE(plan.inputs, std::min(shape.ranks, shape.microbatches) + (r > 0 ? 1 : 0));
      } else {
        EXPECT_EQ(plan.inputs, plan.activations);
      }
      EXPECT_EQ(plan.gradients, splits ? std::min(r + 1, shape.microbatches) : 0);
      EXPECT_LE(plan.gradient, 3);
      EXPECT_LE(plan.received, plan.activations + 1);
    }
  }
}

TEST(PipelinePlan, SendsAsManyMessagesAsTheFormulasSay) {
  for (const PipelineShape& shape : shapes()) {
    SCOPED_TRACE(said_of(shape));
    const std::int64_t boundaries = shape.ranks * shape.virtual_stages - 1;
    EXPECT_EQ(messages_per_step(shape), (shape.trains ? 2 : 1) * shape.microbatches * boundaries);
    std::int64_t received = 0, to = 0, from = 0;
    for (std::int64_t r = 0; r < shape.ranks; ++r) {
      const RankPlan plan = plan_rank(shape, r);
      received += static_cast<std::int64_t>(plan.forward_receives.size() + plan.backward_receives.size());
      to += messages_to(shape, r);
      from += messages_from(shape, r);
    }
    EXPECT_EQ(received, messages_per_step(shape));
    EXPECT_EQ(to, messages_per_step(shape));
    EXPECT_EQ(from, messages_per_step(shape));
  }
  EXPECT_EQ(messages_per_step({.ranks = 1, .microbatches = 8}), 0);
}

TEST(PipelinePlan, LeavesWhatIsInAPlaceUntilItIsNeededNoMore) {
  for (const PipelineShape& shape : shapes()) {
    SCOPED_TRACE(said_of(shape));
    for (std::int64_t r = 0; r < shape.ranks && shape.trains; ++r) {
      // By place, whose it is.
      std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> activations, inputs, received;
      for (const PlannedStep& planned : plan_rank(shape, r).steps) {
        const std::pair whose(planned.step.stage, planned.step.microbatch);
        switch (planned.step.work) {
          case StageWork::forward:
            activations[planned.activations] = whose;
            inputs[planned.inputs] = whose;
            if (planned.received >= 0) received[planned.received] = whose;
            break;
          case StageWork::backward:
          case StageWork::input_gradient:
            EXPECT_EQ(activations[planned.activations], whose);
            EXPECT_EQ(inputs[planned.inputs], whose);
            if (planned.received >= 0) {
              EXPECT_EQ(received[planned.received], whose);
            }
            break;
          case StageWork::weight_gradient:
            EXPECT_EQ(inputs[planned.inputs], whose);
            break;
        }
      }
    }
  }
}

// -- what the transport allows: a message leaves when the receiver has posted it, and the places of messages
// are posted as layers/stage_messages.hpp says. Ranks that wait for each other in a circle would never end.

using Message = std::tuple<bool, std::int64_t, std::int64_t>;  // forward, receiving stage, microbatch

class Transport {
 public:
  explicit Transport(const PipelineShape& shape) : shape_(shape) {
    for (std::int64_t r = 0; r < shape.ranks; ++r) ranks_.push_back({.plan = plan_rank(shape, r)});
    for (Rank& rank : ranks_) {
      post(rank, true);
      post(rank, false);
    }
  }

  // Whether all come to the end of their lists.
  bool run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (Rank& rank : ranks_) {
        while (rank.next < rank.plan.steps.size() && advance(rank)) moved = true;
      }
    }
    return std::all_of(ranks_.begin(), ranks_.end(),
                       [](const Rank& rank) { return rank.next == rank.plan.steps.size(); });
  }

 private:
  struct Rank {
    RankPlan plan;
    std::size_t next = 0;
    bool has_input = false;  // of the step that is next
    std::map<bool, std::size_t> posted = {}, received = {};
    std::map<std::pair<bool, std::int64_t>, Message> leaving = {};  // by direction and place
  };

  // A send is done when its receiver has posted the message.
  [[nodiscard]] bool is_sent(const Rank& rank, bool forward, std::int64_t place) const {
    const auto found = rank.leaving.find({forward, place});
    return found == rank.leaving.end() || posted_.contains(found->second);
  }

  void post(Rank& rank, bool forward) {
    const auto& receives = forward ? rank.plan.forward_receives : rank.plan.backward_receives;
    std::size_t& posted = rank.posted[forward];
    if (posted == receives.size()) return;
    const PlannedStep& planned = rank.plan.steps[receives[posted]];
    if (!forward && planned.gradient >= 0 && !is_sent(rank, false, planned.gradient)) return;
    posted_.insert({forward, planned.step.stage, planned.step.microbatch});
    ++posted;
  }

  bool advance(Rank& rank) {
    const PlannedStep& planned = rank.plan.steps[rank.next];
    const PipelineStep& step = planned.step;
    const bool forward = step.work == StageWork::forward, deferred = step.work == StageWork::weight_gradient;
    const bool receives = !deferred && (forward ? step.stage > 0 : step.stage + 1 < shape_.stages());
    const Message own(forward, step.stage, step.microbatch);
    if (receives && !rank.has_input) {
      if (rank.posted[forward] == rank.received[forward]) post(rank, forward);
      if (rank.posted[forward] == rank.received[forward]) return false;  // its place has not left
      if (rank.posted[forward] == rank.received[forward] + 1) post(rank, forward);
      if (!sent_.contains(own)) return false;
      ++rank.received[forward];
      rank.has_input = true;
    }
    if (forward && !shape_.trains && !is_sent(rank, true, planned.activations)) return false;
    if (!deferred && !forward && !receives && planned.gradient >= 0 &&
        !is_sent(rank, false, planned.gradient))
      return false;
    const bool sends = !deferred && (forward ? step.stage + 1 < shape_.stages() : step.stage > 0);
    if (sends) {
      const Message message(forward, step.stage + (forward ? 1 : -1), step.microbatch);
      const std::int64_t place = forward ? planned.activations : planned.gradient;
      EXPECT_TRUE(is_sent(rank, forward, place)) << "would be overwritten";
      rank.leaving[{forward, place}] = message;
      sent_.insert(message);
    }
    ++rank.next;
    rank.has_input = false;
    return true;
  }

  PipelineShape shape_;
  std::vector<Rank> ranks_;
  std::set<Message> posted_, sent_;
};

TEST(PipelinePlan, NeverWaitsInACircle) {
  for (const PipelineShape& shape : shapes()) EXPECT_TRUE(Transport(shape).run()) << said_of(shape);
}

// -- what a case is told

Shape block_shape() {
  return {.tokens = 64,
          .sequence_length = 8,
          .hidden_size = 32,
          .ffn_hidden_size = 64,
          .num_heads = 4,
          .num_kv_heads = 4,
          .num_layers = 6,
          .pass = Pass::forward_backward};
}

// Places are handed out the lowest first, and in no time of their number.
TEST(Plans, OfManyMicrobatchesAreMadeAtOnce) {
  const PipelineShape shape = {.ranks = 2, .microbatches = 4096, .schedule = Schedule::gpipe, .trains = true};
  EXPECT_EQ(plan_rank(shape, 0).activations, 4096);
  EXPECT_EQ(plan_rank(shape, 1).activations, 4096);
}

TEST(Stages, ThatCannotBeNameTheNearestThatCan) {
  Shape shape = block_shape();
  shape.layout.pp = 4;
  EXPECT_EQ(why_not_divisible(block_workload, shape).value_or(""),
            "num_layers 6 is not divisible by pp_degree 4; pp_degree 3 and 6 would do");
  shape.layout.pp = 2;
  shape.microbatches = 3;
  EXPECT_EQ(why_impossible(block_workload, shape).value_or(""),
            "batch_size 8 is not divisible by microbatches 3; microbatches 2 and 4 would do");
  shape.microbatches = 4;
  EXPECT_EQ(why_impossible(block_workload, shape), std::nullopt);
  // What is named runs: it divides the batch too.
  shape.schedule = Schedule::interleaved;
  shape.virtual_stages = 3;
  shape.tokens = 12 * 8;
  shape.microbatches = 3;
  EXPECT_EQ(
      why_impossible(block_workload, shape).value_or(""),
      "microbatches 3 is not divisible by pp_degree 2, as virtual_stages of 2 or more need; microbatches 2 "
      "and 4 would do");
  shape.tokens = 9 * 8;
  EXPECT_EQ(
      why_impossible(block_workload, shape).value_or(""),
      "microbatches 3 is not divisible by pp_degree 2, as virtual_stages of 2 or more need; virtual_stages "
      "1 would do");
  shape.num_layers = 4;
  EXPECT_EQ(why_not_divisible(block_workload, shape).value_or(""),
            "num_layers 4 is not divisible by pp_degree 2 x virtual_stages 3; virtual_stages 2 would do");
  shape.num_layers = 1;
  shape.virtual_stages = 1;
  EXPECT_EQ(why_not_divisible(block_workload, shape).value_or(""),
            "num_layers 1 is not divisible by pp_degree 2; pp_degree 1 would do");
  shape = block_shape();
  shape.layout.pp = 2;
  shape.overlap_chunks = 2;
  EXPECT_NE(why_impossible(block_workload, shape).value_or("").find("overlap_chunks 2 is for pp_degree 1"),
            std::string::npos);
  shape.overlap_chunks = 1;
  EXPECT_NE(why_impossible(mlp_workload, shape).value_or("").find("workload mlp has no stages"),
            std::string::npos);
}

}  // namespace
}  // namespace tpbench
