#include "workload/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace tpbench {
namespace {

using Steps = std::vector<PipelineStep>;

// The i-th forward or backward of a rank with several stages: p microbatches go through one of them, then the
// same through the next; backward begins with the last.
PipelineStep nth_of(const PipelineShape& shape, std::int64_t rank, std::int64_t i, StageWork work) {
  const std::int64_t p = shape.ranks, v = shape.virtual_stages;
  if (v == 1) return {work, rank, i};
  const std::int64_t chunk = i % (p * v) / p;
  const std::int64_t stage = (work == StageWork::forward ? chunk : v - 1 - chunk) * p + rank;
  return {work, stage, i / (p * v) * p + i % p};
}

// `warm_up` forwards, then forward and backward in turn, then the backwards that are left.
template <typename Backward>
Steps in_turn(const PipelineShape& shape, std::int64_t rank, std::int64_t warm_up, Backward&& add_backward) {
  const std::int64_t total = shape.microbatches * shape.virtual_stages;
  const std::int64_t first = std::min(warm_up, total);
  Steps steps;
  steps.reserve(static_cast<std::size_t>(3 * total));
  for (std::int64_t i = 0; i < first; ++i) steps.push_back(nth_of(shape, rank, i, StageWork::forward));
  for (std::int64_t i = 0; i < total; ++i) {
    if (first + i < total) steps.push_back(nth_of(shape, rank, first + i, StageWork::forward));
    add_backward(steps, i);
  }
  return steps;
}

Steps gpipe_steps(const PipelineShape& shape, std::int64_t rank) {
  Steps steps;
  for (const StageWork work : {StageWork::forward, StageWork::backward}) {
    for (std::int64_t i = 0; i < shape.microbatches; ++i) steps.push_back({work, rank, i});
  }
  return steps;
}

Steps zb_h1_steps(const PipelineShape& shape, std::int64_t rank) {
  Steps steps = in_turn(shape, rank, shape.ranks - rank - 1, [&](Steps& to, std::int64_t i) {
    to.push_back({StageWork::input_gradient, rank, i});
    if (i >= rank) to.push_back({StageWork::weight_gradient, rank, i - rank});
  });
  for (std::int64_t i = std::max<std::int64_t>(0, shape.microbatches - rank); i < shape.microbatches; ++i)
    steps.push_back({StageWork::weight_gradient, rank, i});
  return steps;
}

double seconds_of(StageWork work, const StageTimes& times) {
  switch (work) {
    case StageWork::forward:
      return times.forward_s;
    case StageWork::input_gradient:
      return times.input_gradient_s;
    case StageWork::weight_gradient:
      return times.weight_gradient_s;
    case StageWork::backward:
      break;
  }
  return times.input_gradient_s + times.weight_gradient_s;
}

}  // namespace

std::optional<std::string> why_no_schedule(const PipelineShape& shape) {
  const bool interleaved = shape.schedule == Schedule::interleaved;
  if (!interleaved && shape.virtual_stages != 1)
    return fmt::format("virtual_stages {} needs schedule interleaved, and this is {}", shape.virtual_stages,
                       name_of(shape.schedule));
  if (!interleaved) return std::nullopt;
  if (shape.virtual_stages == 1)
    return "schedule interleaved needs virtual_stages of 2 or more; with 1 it is 1f1b";
  if (shape.microbatches % shape.ranks == 0) return std::nullopt;
  return fmt::format("microbatches {} is not divisible by pp_degree {}, as virtual_stages of 2 or more need",
                     shape.microbatches, shape.ranks);
}

std::vector<PipelineStep> steps_of_rank(const PipelineShape& shape, std::int64_t rank) {
  const std::int64_t p = shape.ranks, v = shape.virtual_stages;
  if (!shape.trains) {
    Steps steps;
    for (std::int64_t i = 0; i < shape.microbatches * v; ++i)
      steps.push_back(nth_of(shape, rank, i, StageWork::forward));
    return steps;
  }
  const auto add_whole = [&](Steps& to, std::int64_t i) {
    to.push_back(nth_of(shape, rank, i, StageWork::backward));
  };
  switch (shape.schedule) {
    case Schedule::gpipe:
      return gpipe_steps(shape, rank);
    case Schedule::one_f_one_b:
      return in_turn(shape, rank, p - rank - 1, add_whole);
    case Schedule::interleaved:
      return in_turn(shape, rank, 2 * (p - rank - 1) + (v - 1) * p, add_whole);
    case Schedule::zb_h1:
      break;
  }
  return zb_h1_steps(shape, rank);
}

namespace {

// When steps ended, by stage and microbatch: their forward, and the backward or input gradient.
class Ends {
 public:
  explicit Ends(const PipelineShape& shape)
      : microbatches_(static_cast<std::size_t>(shape.microbatches)),
        forward_s_(static_cast<std::size_t>(shape.stages()) * microbatches_, kNever),
        backward_s_(forward_s_) {}
  void set(const PipelineStep& step, double end_s) {
    if (step.work == StageWork::weight_gradient) return;  // nobody waits for it
    (step.work == StageWork::forward ? forward_s_ : backward_s_)[place(step.stage, step.microbatch)] = end_s;
  }
  [[nodiscard]] double forward(std::int64_t stage, std::int64_t microbatch) const {
    return forward_s_[place(stage, microbatch)];
  }
  [[nodiscard]] double backward(std::int64_t stage, std::int64_t microbatch) const {
    return backward_s_[place(stage, microbatch)];
  }
  static constexpr double kNever = -1;

 private:
  [[nodiscard]] std::size_t place(std::int64_t stage, std::int64_t microbatch) const {
    return static_cast<std::size_t>(stage) * microbatches_ + static_cast<std::size_t>(microbatch);
  }
  std::size_t microbatches_;
  std::vector<double> forward_s_, backward_s_;
};

// When the input of a step is there; kNever when what makes it has not run.
double input_s(const PipelineStep& step, const Ends& ends, const PipelineShape& shape, const StageTimes& own,
               double boundary_s) {
  const bool is_last = step.stage == shape.stages() - 1;
  if (step.work == StageWork::forward && step.stage == 0) return 0;
  if (step.work == StageWork::weight_gradient) return ends.backward(step.stage, step.microbatch);
  if (step.work != StageWork::forward && is_last) return ends.forward(step.stage, step.microbatch);
  const bool is_forward = step.work == StageWork::forward;
  const double made_s = is_forward ? ends.forward(step.stage - 1, step.microbatch)
                                   : ends.backward(step.stage + 1, step.microbatch);
  if (made_s == Ends::kNever || shape.ranks == 1) return made_s;
  return made_s + boundary_s + (is_forward ? own.input_transfer_s : own.gradient_transfer_s);
}

// Calls `ran(rank, step, start_s, end_s)` for every step, in an order in which they can run.
template <typename Ran>
void replay_steps(const PipelineShape& shape, std::span<const StageTimes> times, double boundary_s,
                  Ran&& ran) {
  std::vector<Steps> steps;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) steps.push_back(steps_of_rank(shape, rank));
  Ends ends(shape);
  std::vector<std::size_t> done(steps.size(), 0);
  std::vector<double> free_s(steps.size(), 0);
  // Ranks are taken in turn, each as far as its inputs have come.
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t rank = 0; rank < steps.size(); ++rank) {
      for (; done[rank] < steps[rank].size(); ++done[rank], moved = true) {
        const PipelineStep& step = steps[rank][done[rank]];
        const StageTimes& own = times[static_cast<std::size_t>(step.stage)];
        const double ready_s = input_s(step, ends, shape, own, boundary_s);
        if (ready_s == Ends::kNever) break;
        const double start_s = std::max(free_s[rank], ready_s);
        free_s[rank] = start_s + seconds_of(step.work, own);
        ends.set(step, free_s[rank]);
        ran(rank, step, start_s, free_s[rank]);
      }
    }
  }
  for (std::size_t rank = 0; rank < steps.size(); ++rank) {
    if (done[rank] != steps[rank].size())
      throw std::logic_error(
          fmt::format("schedule {}: rank {} waits forever", name_of(shape.schedule), rank));
  }
}

}  // namespace

Replay replay_pipeline(const PipelineShape& shape, std::span<const StageTimes> times, double boundary_s,
                       std::optional<double> exchange_s) {
  Replay replay;
  replay.ranks.resize(static_cast<std::size_t>(shape.ranks));
  std::vector<double> work_s(replay.ranks.size(), 0);
  replay_steps(shape, times, boundary_s,
               [&](std::size_t rank, const PipelineStep& step, double start_s, double end_s) {
                 replay.ranks[rank].push_back({step, start_s, end_s});
                 work_s[rank] += end_s - start_s;
                 replay.step_s = std::max(replay.step_s, end_s);
               });
  replay.busiest_s = *std::max_element(work_s.begin(), work_s.end());
  if (exchange_s && shape.ranks > 1) {
    const double both_s = std::max(replay.ranks.front().back().end_s, replay.ranks.back().back().end_s);
    replay.step_s = std::max(replay.step_s, both_s + *exchange_s);
  }
  return replay;
}

namespace {

// All stages one direction of m equal microbatches one after the other: none waits but for the slowest.
double flow_s(const PipelineShape& shape, std::span<const StageTimes> times, double boundary_s,
              StageWork work) {
  const auto all_but_one = static_cast<double>(shape.microbatches - 1);
  double once_s = 0, slowest_s = 0;
  for (std::size_t stage = 0; stage < times.size(); ++stage) {
    const StageTimes& own = times[stage];
    const bool is_forward = work == StageWork::forward;
    const bool receives = is_forward ? stage > 0 : stage + 1 < times.size();
    const double transfer_s = boundary_s + (is_forward ? own.input_transfer_s : own.gradient_transfer_s);
    once_s += seconds_of(work, own) + (receives ? transfer_s : 0);
    slowest_s = std::max(slowest_s, seconds_of(work, own));
  }
  return once_s + all_but_one * slowest_s;
}

}  // namespace

double pipeline_step_s(const PipelineShape& shape, std::span<const StageTimes> times, double boundary_s,
                       std::optional<double> exchange_s) {
  if (shape.ranks == 1) {
    double once_s = 0;
    for (const StageTimes& own : times)
      once_s += own.forward_s + (shape.trains ? seconds_of(StageWork::backward, own) : 0);
    return static_cast<double>(shape.microbatches) * once_s;
  }
  const bool flows = shape.virtual_stages == 1;
  if (flows && !shape.trains) return flow_s(shape, times, boundary_s, StageWork::forward);
  if (flows && shape.schedule == Schedule::gpipe)
    return flow_s(shape, times, boundary_s, StageWork::forward) +
           flow_s(shape, times, boundary_s, StageWork::backward) + exchange_s.value_or(0);
  // After two rounds of p microbatches each further one takes as long as the one before.
  const std::int64_t settled = 3 * shape.ranks + shape.microbatches % shape.ranks;
  const std::int64_t left_out = std::max<std::int64_t>(0, (shape.microbatches - settled) / shape.ranks);
  PipelineShape shorter = shape;
  shorter.microbatches -= left_out * shape.ranks;
  double step_s = 0, ends_s = 0, round_s = 0;
  const std::int64_t last = shorter.microbatches - 1;
  replay_steps(shorter, times, boundary_s,
               [&](std::size_t rank, const PipelineStep& step, double, double end_s) {
                 step_s = std::max(step_s, end_s);
                 const bool is_last_rank = rank + 1 == static_cast<std::size_t>(shape.ranks);
                 if (rank == 0 || is_last_rank) ends_s = std::max(ends_s, end_s);
                 // The last rank's forwards: what a round takes, seen where the others keep up.
                 if (!is_last_rank || step.work != StageWork::forward || step.stage != shape.ranks - 1)
                   return;
                 if (step.microbatch == last - shape.ranks) round_s -= end_s;
                 if (step.microbatch == last) round_s += end_s;
               });
  if (exchange_s) step_s = std::max(step_s, ends_s + *exchange_s);
  return step_s + static_cast<double>(left_out) * round_s;
}

namespace {

std::int64_t most_of(const PipelineShape& shape, std::int64_t rank, std::optional<std::int64_t> stage) {
  std::int64_t now = 0, most = 0;
  for (const PipelineStep& step : steps_of_rank(shape, rank)) {
    if (stage && step.stage != *stage) continue;
    if (step.work == StageWork::forward) most = std::max(most, ++now);
    if (step.work == StageWork::backward || step.work == StageWork::input_gradient) --now;
  }
  return most;
}

}  // namespace

std::int64_t most_in_flight(const PipelineShape& shape, std::int64_t rank) {
  return most_of(shape, rank, std::nullopt);
}

std::int64_t most_in_flight_on_stage(const PipelineShape& shape, std::int64_t stage) {
  return most_of(shape, stage % shape.ranks, stage);
}

}  // namespace tpbench
