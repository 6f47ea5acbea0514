#include "workload/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <tuple>

namespace tpbench {
namespace {

using Steps = std::vector<PipelineStep>;

// The i-th forward or backward of a rank with several stages: p microbatches go through one of them, then the
// same through the next; backward begins with the last.
PipelineStep nth_of(const PipelineShape& shape, std::int64_t rank, std::int64_t i, StageWork work) {
  const std::int64_t p = shape.ranks, v = shape.virtual_stages;
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

// The step whose end this one waits for; none for the first stage's forward.
std::optional<PipelineStep> input_of(const PipelineStep& step, std::int64_t stages) {
  switch (step.work) {
    case StageWork::forward:
      if (step.stage == 0) return std::nullopt;
      return PipelineStep{StageWork::forward, step.stage - 1, step.microbatch};
    case StageWork::weight_gradient:
      return PipelineStep{StageWork::input_gradient, step.stage, step.microbatch};
    case StageWork::backward:
    case StageWork::input_gradient:
      break;
  }
  if (step.stage == stages - 1) return PipelineStep{StageWork::forward, step.stage, step.microbatch};
  return PipelineStep{step.work, step.stage + 1, step.microbatch};
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
  const std::int64_t below = shape.microbatches / shape.ranks * shape.ranks;
  const std::string above = std::to_string(below + shape.ranks);
  return fmt::format(
      "microbatches {} is not divisible by pp_degree {}, as schedule interleaved needs; {} would be",
      shape.microbatches, shape.ranks, below == 0 ? above : fmt::format("{} and {}", below, above));
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

Replay replay_pipeline(const PipelineShape& shape, std::span<const StageTimes> times, double boundary_s) {
  using Key = std::tuple<StageWork, std::int64_t, std::int64_t>;
  std::map<Key, double> end_of;
  std::vector<Steps> steps;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) steps.push_back(steps_of_rank(shape, rank));
  Replay replay;
  replay.ranks.resize(steps.size());
  std::vector<double> free_s(steps.size(), 0), work_s(steps.size(), 0);
  // Ranks are taken in turn, each as far as its inputs have come.
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t rank = 0; rank < steps.size(); ++rank) {
      std::vector<ReplayedStep>& done = replay.ranks[rank];
      while (done.size() < steps[rank].size()) {
        const PipelineStep& step = steps[rank][done.size()];
        double ready_s = 0;
        if (const auto input = input_of(step, shape.stages())) {
          const auto found = end_of.find({input->work, input->stage, input->microbatch});
          if (found == end_of.end()) break;
          const bool crosses = input->stage % shape.ranks != step.stage % shape.ranks;
          const StageTimes& own = times[static_cast<std::size_t>(step.stage)];
          const double own_transfer_s =
              step.work == StageWork::forward ? own.input_transfer_s : own.gradient_transfer_s;
          ready_s = found->second + (crosses ? boundary_s + own_transfer_s : 0);
        }
        const double start_s = std::max(free_s[rank], ready_s);
        const double takes_s = seconds_of(step.work, times[static_cast<std::size_t>(step.stage)]);
        free_s[rank] = start_s + takes_s;
        work_s[rank] += takes_s;
        end_of[{step.work, step.stage, step.microbatch}] = free_s[rank];
        done.push_back({step, start_s, free_s[rank]});
        moved = true;
      }
    }
  }
  for (std::size_t rank = 0; rank < steps.size(); ++rank) {
    if (replay.ranks[rank].size() != steps[rank].size())
      throw std::logic_error(
          fmt::format("schedule {}: rank {} waits forever", name_of(shape.schedule), rank));
  }
  replay.step_s = *std::max_element(free_s.begin(), free_s.end());
  replay.busiest_s = *std::max_element(work_s.begin(), work_s.end());
  return replay;
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
