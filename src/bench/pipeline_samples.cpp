#include "bench/pipeline_samples.hpp"

#include <algorithm>
#include <array>

#include "bench/pipeline_reduction.hpp"
#include "comm/merge_rows.hpp"

namespace tpbench {
namespace {

// The collectives that any rank of the group has, in one order on all of them.
std::vector<EventKey> collectives_of(std::span<const EventKey> own, const Control& group) {
  constexpr std::size_t kNumbers = 4;
  std::vector<std::int64_t> rows;
  for (const EventKey& key : own) {
    if (!is_collective(key)) continue;
    for (const std::int64_t number : {static_cast<std::int64_t>(key.kind),
                                      static_cast<std::int64_t>(key.direction), key.bytes, key.group})
      rows.push_back(number);
  }
  const std::vector<std::int64_t> all = merge_rows(group, rows, kNumbers);
  std::vector<EventKey> kinds;
  for (std::size_t i = 0; i < all.size(); i += kNumbers)
    kinds.push_back(
        {static_cast<Activity>(all[i]), static_cast<Direction>(all[i + 1]), all[i + 2], all[i + 3]});
  return kinds;
}

bool read_several_clocks(const Control& ranks, const CommonClock& clock) {
  std::array<std::int64_t, 2> ends = {clock.domain(), -clock.domain()};
  ranks.reduce_max(ends);
  return ends[0] != -ends[1];
}

// Of one rank, in one sample.
double part_of(std::span<const double> row, const PipelineColumns& columns, std::size_t rank,
               std::size_t which) {
  return row[columns.part(rank, which)];
}
double work_of(std::span<const double> row, const PipelineColumns& columns, std::size_t rank) {
  double sum = 0;
  for (const std::size_t which : {RankPart::forward_compute, RankPart::backward_compute,
                                  RankPart::forward_communication, RankPart::backward_communication})
    sum += part_of(row, columns, rank, which);
  return sum;
}

void append_stages(std::span<const double> row, double step_s, const PipelineColumns& columns,
                   std::size_t microbatches, bool communication_known, PipelineSamples& pipeline) {
  pipeline.ranks.resize(columns.ranks);
  pipeline.stages.resize(columns.stages);
  for (std::size_t rank = 0; rank < columns.ranks; ++rank) {
    StageSamples& of = pipeline.ranks[rank];
    const auto part = [&](std::size_t which) { return part_of(row, columns, rank, which); };
    of.compute_s.push_back(part(RankPart::forward_compute) + part(RankPart::backward_compute));
    if (!communication_known) continue;
    of.communication_s.push_back(part(RankPart::forward_communication) +
                                 part(RankPart::backward_communication));
    of.boundary_s.push_back(part(RankPart::boundary));
    of.input_wait_s.push_back(part(RankPart::input_wait));
    of.end_wait_s.push_back(part(RankPart::end_wait));
    of.other_s.push_back(step_s - work_of(row, columns, rank) - part(RankPart::boundary) -
                         part(RankPart::input_wait) - part(RankPart::end_wait));
  }
  if (!communication_known) return;
  const auto m = static_cast<double>(microbatches);
  std::vector<double> exchanged_s;
  for (std::size_t stage = 0; stage < columns.stages; ++stage) {
    StageWorkSamples& of = pipeline.stages[stage];
    const auto work = [&](std::size_t which) { return row[columns.work(stage, which)]; };
    of.forward_s.push_back(work(StagePart::forward_work) / m);
    of.input_gradient_s.push_back(work(StagePart::backward_work) / m);
    of.weight_gradient_s.push_back(work(StagePart::deferred_work) / m);
    // Into the first stage no other input comes, nor another gradient into the last.
    if (work(StagePart::inputs_waited_for) > 0)
      (stage == 0 ? exchanged_s : of.input_transfer_s)
          .push_back(work(StagePart::input_transfer) / work(StagePart::inputs_waited_for));
    if (work(StagePart::gradients_waited_for) > 0)
      (stage + 1 == columns.stages ? exchanged_s : of.gradient_transfer_s)
          .push_back(work(StagePart::gradient_transfer) / work(StagePart::gradients_waited_for));
  }
  if (!exchanged_s.empty())
    pipeline.exchange_s.push_back(*std::max_element(exchanged_s.begin(), exchanged_s.end()));
  pipeline.first_microbatch_s.push_back(row[columns.end(0)]);
  if (const std::size_t last = last_in_steady_state(columns, microbatches); last > 0)
    pipeline.microbatch_s.push_back((row[columns.end(1)] - row[columns.end(0)]) / static_cast<double>(last));
}

void append_busiest(std::span<const double> row, double step_s, const PipelineColumns& columns,
                    Samples& samples) {
  const std::size_t rank = samples.pipeline.busiest;
  const auto part = [&](std::size_t which) { return part_of(row, columns, rank, which); };
  samples.step_s.push_back(step_s);
  samples.compute_s.push_back(part(RankPart::forward_compute) + part(RankPart::backward_compute));
  for (std::size_t half = 0; half < kDirections; ++half)
    samples.compute_by_half_s[half].push_back(part(RankPart::forward_compute + half));
  if (!samples.communication_known) return;
  for (std::size_t half = 0; half < kDirections; ++half)
    samples.communication_by_half_s[half].push_back(part(RankPart::forward_communication + half));
  samples.communication_s.push_back(part(RankPart::forward_communication) +
                                    part(RankPart::backward_communication));
  samples.other_s.push_back(samples.pipeline.ranks[rank].other_s.back());
  samples.wait_s.push_back(part(RankPart::wait));
  samples.imbalance_s.push_back(part(RankPart::imbalance));
  samples.wait_mean_s.push_back(part(RankPart::wait_mean));
  for (std::size_t kind = 0; kind < columns.kinds; ++kind)
    samples.collectives[kind].communication_s.push_back(row[columns.kind(rank, kind)]);
}

// Of a step, what all ranks of one shard send, and how many differences between clocks a rank's
// parts are.
void count_events(const TracedSteps& traced, const Team& team, const std::vector<EventKey>& kinds,
                  Samples& samples) {
  const bool shards_span =
      team.active->max(std::int64_t{read_several_clocks(*team.shards, *team.clock)}) != 0;
  const bool stages_span =
      team.active->max(std::int64_t{read_several_clocks(*team.stages, *team.clock)}) != 0;
  std::array<std::int64_t, 2> sent = {0, 0};
  std::vector<std::int64_t> calls(kinds.size() + 1, 0);
  for (const EventKey& key : traced.events) {
    if (key.kind == Activity::send && key.bytes > 0) {
      ++sent[0];
      sent[1] += key.bytes;
    }
    if (is_collective(key))
      ++calls[static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), bare(key)) - kinds.begin())];
    if (key.kind == Activity::receive) ++calls.back();
  }
  team.stages->reduce_sum(sent);
  team.active->reduce_max(calls);
  samples.pipeline.messages = sent[0];
  samples.pipeline.bytes = sent[1];
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    const std::int64_t differences = shards_span ? calls[kind] : 0;
    samples.collectives.push_back({kinds[kind], {}, differences});
    samples.differences += differences;
    samples.differences_by_half[static_cast<std::size_t>(kinds[kind].direction)] += differences;
  }
  samples.message_differences = stages_span ? calls.back() : 0;
}

}  // namespace

void reduce_pipeline_steps(const TracedSteps& traced, const Team& team, Samples& samples) {
  constexpr std::size_t kValues = std::size_t{1} << 20;  // of an array, about
  const bool common_time =
      team.clock->is_aligned() ||
      team.active->max(std::int64_t{read_several_clocks(*team.active, *team.clock)}) == 0;
  samples.communication_known = common_time;
  const std::vector<EventKey> kinds = collectives_of(traced.events, *team.group);
  std::array<std::int64_t, 2> last = {0, 0};  // stage, microbatch
  for (const EventKey& key : traced.events) {
    last[0] = std::max(last[0], key.stage);
    last[1] = std::max(last[1], key.microbatch);
  }
  team.group->reduce_max(last);
  const auto stages = static_cast<std::size_t>(last[0] + 1),
             microbatches = static_cast<std::size_t>(last[1] + 1);
  PipelineReduction reduction(traced, team, kinds, stages, microbatches);
  const PipelineColumns& columns = reduction.columns();
  const bool is_first = samples.step_s.empty();
  if (is_first) count_events(traced, team, kinds, samples);
  // Of ranks that hold less the array is shorter: all take as many steps at a time.
  const auto longest = static_cast<std::size_t>(team.active->max(static_cast<std::int64_t>(
      std::max({columns.width(), traced.events.size(), 2 * stages * microbatches}))));
  const std::size_t chunk = std::max<std::size_t>(1, kValues / longest);
  for (std::size_t first = 0; first < traced.steps.size(); first += chunk) {
    const std::size_t count = std::min(chunk, traced.steps.size() - first);
    std::vector<double> step_s, part_s;
    reduction.run(first, count, common_time, step_s, part_s);
    if (team.groups.size() > 1) take_slowest_group(team, step_s, part_s);
    const auto row = [&](std::size_t k) {
      return std::span<const double>(part_s).subspan(k * columns.width(), columns.width());
    };
    if (is_first && first == 0) {
      std::vector<double> work(columns.ranks, 0);
      for (std::size_t k = 0; k < count; ++k) {
        for (std::size_t rank = 0; rank < columns.ranks; ++rank) work[rank] += work_of(row(k), columns, rank);
      }
      samples.pipeline.busiest =
          static_cast<std::size_t>(std::max_element(work.begin(), work.end()) - work.begin());
    }
    for (std::size_t k = 0; k < count; ++k) {
      append_stages(row(k), step_s[k], columns, microbatches, common_time, samples.pipeline);
      append_busiest(row(k), step_s[k], columns, samples);
    }
  }
}

}  // namespace tpbench
