#include "bench/pipeline_result.hpp"

#include <algorithm>
#include <numeric>

#include "bench/case_cost.hpp"
#include "workload/pipeline_plan.hpp"

namespace tpbench {
namespace {

std::optional<double> median_if_any(const std::vector<double>& samples_s) {
  return samples_s.empty() ? std::nullopt : std::optional(summarise(samples_s).median);
}

// A time that is there in both, as the mean over `epochs` of them.
void take_mean(std::optional<double>& mean, const std::optional<double>& now, double epochs) {
  if (mean && now)
    *mean += (*now - *mean) / epochs;
  else
    mean.reset();
}

std::vector<StageTimes> stage_times_of(const PipelineSamples& samples) {
  std::vector<StageTimes> times;
  for (const StageWorkSamples& stage : samples.stages) {
    times.push_back({.forward_s = median_if_any(stage.forward_s).value_or(0),
                     .input_gradient_s = median_if_any(stage.input_gradient_s).value_or(0),
                     .weight_gradient_s = median_if_any(stage.weight_gradient_s).value_or(0),
                     .input_transfer_s = median_if_any(stage.input_transfer_s).value_or(0),
                     .gradient_transfer_s = median_if_any(stage.gradient_transfer_s).value_or(0)});
  }
  return times;
}

// The next larger number of equal parts of the batch that has a schedule.
std::optional<std::int64_t> next_microbatches(const Shape& shape) {
  PipelineShape pipeline = shape.pipeline();
  for (std::int64_t m = shape.microbatches + 1; m <= shape.batch_size(); ++m) {
    pipeline.microbatches = m;
    if (shape.batch_size() % m == 0 && !why_no_schedule(pipeline)) return m;
  }
  return std::nullopt;
}

void add_replay(PipelineResult& result, const Shape& shape, std::vector<StageTimes> times) {
  const Replay replay = replay_pipeline(shape.pipeline(), times, 0, result.exchange_s);
  result.replayed_step_s = replay.step_s;
  result.replayed_bubble = replay.bubble();
  result.next_microbatches = next_microbatches(shape);
  if (!result.next_microbatches) return;
  PipelineShape next = shape.pipeline();
  next.microbatches = *result.next_microbatches;
  const double smaller = static_cast<double>(shape.microbatches) / static_cast<double>(next.microbatches);
  for (StageTimes& of : times) {
    for (const auto part :
         {&StageTimes::forward_s, &StageTimes::input_gradient_s, &StageTimes::weight_gradient_s,
          &StageTimes::input_transfer_s, &StageTimes::gradient_transfer_s})
      of.*part *= smaller;
  }
  const Replay of_next = replay_pipeline(next, times, 0, result.exchange_s);
  result.next_step_s = of_next.step_s;
  result.next_bubble = of_next.bubble();
}

// The mean over the stages that a rank holds.
std::optional<double> mean_over(const PipelineRankResult& rank, const PipelineSamples& samples,
                                std::vector<double> StageWorkSamples::*work) {
  double sum = 0;
  for (const std::int64_t stage : rank.stages) {
    const auto median = median_if_any(samples.stages[static_cast<std::size_t>(stage)].*work);
    if (!median) return std::nullopt;
    sum += *median;
  }
  return sum / static_cast<double>(rank.stages.size());
}

// The same over those of them that have it.
std::optional<double> mean_over_those(const PipelineRankResult& rank, const PipelineSamples& samples,
                                      std::vector<double> StageWorkSamples::*transfer) {
  std::vector<double> medians;
  for (const std::int64_t stage : rank.stages) {
    if (const auto median = median_if_any(samples.stages[static_cast<std::size_t>(stage)].*transfer))
      medians.push_back(*median);
  }
  if (medians.empty()) return std::nullopt;
  return std::accumulate(medians.begin(), medians.end(), 0.0) / static_cast<double>(medians.size());
}

PipelineRankResult rank_result(const Record& record, const CaseOutcome& outcome, std::int64_t pp_rank) {
  const Shape shape = record.point.shape();
  const PipelineSamples& samples = outcome.samples.pipeline;
  const auto at = static_cast<std::size_t>(pp_rank);
  const StageSamples& own = samples.ranks[at];
  PipelineRankResult rank;
  for (std::int64_t chunk = 0; chunk < shape.virtual_stages; ++chunk)
    rank.stages.push_back(chunk * shape.layout.pp + pp_rank);
  rank.layers = shape.num_layers / shape.layout.pp;
  rank.in_flight = shape.trains() ? most_in_flight(shape.pipeline(), pp_rank) : 1;
  rank.compute_s = median_if_any(own.compute_s).value_or(0);
  rank.communication_s = median_if_any(own.communication_s);
  rank.boundary_s = median_if_any(own.boundary_s);
  rank.input_wait_s = median_if_any(own.input_wait_s);
  rank.end_wait_s = median_if_any(own.end_wait_s);
  rank.other_s = median_if_any(own.other_s);
  rank.forward_s = mean_over(rank, samples, &StageWorkSamples::forward_s);
  if (shape.trains()) rank.backward_s = mean_over(rank, samples, &StageWorkSamples::input_gradient_s);
  if (shape.trains() && shape.schedule == Schedule::zb_h1)
    rank.weight_gradient_s = mean_over(rank, samples, &StageWorkSamples::weight_gradient_s);
  rank.input_transfer_s = mean_over_those(rank, samples, &StageWorkSamples::input_transfer_s);
  rank.gradient_transfer_s = mean_over_those(rank, samples, &StageWorkSamples::gradient_transfer_s);
  if (at < outcome.stage_memory.size()) rank.peak = outcome.stage_memory[at].total();
  rank.predicted_peak = cost_of_stage(record.point, record.point.layout, pp_rank).memory.total();
  return rank;
}

std::vector<PipelineStageResult> stage_results(const Shape& shape, const PipelineSamples& samples) {
  std::vector<PipelineStageResult> stages;
  for (const StageWorkSamples& stage : samples.stages) {
    PipelineStageResult& result = stages.emplace_back();
    result.forward_s = median_if_any(stage.forward_s);
    if (shape.trains()) result.backward_s = median_if_any(stage.input_gradient_s);
    if (shape.trains() && shape.schedule == Schedule::zb_h1)
      result.weight_gradient_s = median_if_any(stage.weight_gradient_s);
    result.input_transfer_s = median_if_any(stage.input_transfer_s);
    result.gradient_transfer_s = median_if_any(stage.gradient_transfer_s);
  }
  return stages;
}

// Of each step, what of it was not the busiest rank's work.
void add_bubble(PipelineResult& result, const CaseOutcome& outcome) {
  const StageSamples& busiest = outcome.samples.pipeline.ranks[outcome.samples.pipeline.busiest];
  if (busiest.communication_s.empty()) return;
  std::vector<double> ideal_s, bubble;
  for (std::size_t k = 0; k < busiest.compute_s.size(); ++k) {
    ideal_s.push_back(busiest.compute_s[k] + busiest.communication_s[k]);
    bubble.push_back(1 - ideal_s.back() / outcome.samples.step_s[k]);
  }
  result.ideal_s = median_if_any(ideal_s);
  result.bubble = median_if_any(bubble);
}

PipelineResult pipeline_result_of(const Record& record, const CaseOutcome& outcome) {
  const Shape shape = record.point.shape();
  const PipelineSamples& samples = outcome.samples.pipeline;
  PipelineResult result;
  result.busiest = static_cast<std::int64_t>(samples.busiest);
  add_bubble(result, outcome);
  if (shape.exchanges_tied_gradient()) result.exchange_s = median_if_any(samples.exchange_s);
  if (outcome.samples.communication_known) add_replay(result, shape, stage_times_of(samples));
  const auto filled = static_cast<double>(shape.layout.pp - 1);
  result.textbook_bubble = filled / (static_cast<double>(shape.microbatches * shape.virtual_stages) + filled);
  result.first_microbatch_s = median_if_any(samples.first_microbatch_s);
  // Where all forwards run first, what lies between two of them is not what a microbatch takes.
  if (!shape.trains() || shape.schedule != Schedule::gpipe)
    result.microbatch_s = median_if_any(samples.microbatch_s);
  result.message_bytes = shape.boundary_elements() * shape.element_size();
  const BoundaryTraffic traffic = boundary_traffic(shape);
  result.messages_per_step = traffic.messages;
  result.bytes_per_step = traffic.bytes;
  result.messages_sent = samples.messages;
  result.bytes_sent = samples.bytes;
  result.data_path = outcome.messages_path;
  result.progress = outcome.network_progress;
  for (std::int64_t rank = 0; rank < shape.layout.pp; ++rank)
    result.ranks.push_back(rank_result(record, outcome, rank));
  result.stages = stage_results(shape, samples);
  return result;
}

// A later epoch's times into those of the epochs before it.
void join_epochs(PipelineResult& mean, const PipelineResult& now, double epochs) {
  using R = PipelineResult;
  for (const auto part :
       {&R::ideal_s, &R::bubble, &R::replayed_step_s, &R::replayed_bubble, &R::first_microbatch_s,
        &R::microbatch_s, &R::exchange_s, &R::next_step_s, &R::next_bubble})
    take_mean(mean.*part, now.*part, epochs);
  for (std::size_t rank = 0; rank < mean.ranks.size(); ++rank) {
    using S = PipelineRankResult;
    S& of = mean.ranks[rank];
    of.compute_s += (now.ranks[rank].compute_s - of.compute_s) / epochs;
    for (const auto part :
         {&S::communication_s, &S::boundary_s, &S::input_wait_s, &S::end_wait_s, &S::other_s, &S::forward_s,
          &S::backward_s, &S::weight_gradient_s, &S::input_transfer_s, &S::gradient_transfer_s})
      take_mean(of.*part, now.ranks[rank].*part, epochs);
  }
  // A record of before has none, and what a resumed one would have were of its later epochs alone.
  for (std::size_t stage = 0; stage < mean.stages.size(); ++stage) {
    using T = PipelineStageResult;
    for (const auto part : {&T::forward_s, &T::backward_s, &T::weight_gradient_s, &T::input_transfer_s,
                            &T::gradient_transfer_s})
      take_mean(mean.stages[stage].*part, now.stages[stage].*part, epochs);
  }
}

}  // namespace

void add_pipeline(Record& record, const CaseOutcome& outcome) {
  if (!outcome.samples.pipeline.is_there()) return;
  PipelineResult now = pipeline_result_of(record, outcome);
  if (record.pipeline)
    join_epochs(*record.pipeline, now, static_cast<double>(record.epochs_done + 1));
  else
    record.pipeline = std::move(now);
}

}  // namespace tpbench
