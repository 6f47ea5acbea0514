#include "bench/sampling.hpp"

#include <algorithm>

namespace tpbench {

void run_batch(const StepRunner& runner, std::size_t steps, const Team& team, Trace& trace) {
  trace.start_batch(steps);
  for (std::size_t k = 0; k < steps; ++k) {
    if (runner.before_step) runner.before_step();
    trace.heartbeat().beat(Activity::synchronise);
    team.active->barrier();
    trace.begin_step();
    runner.step(trace);
    trace.end_step();
  }
  trace.heartbeat().beat(Activity::exchange);
}

double warm_up(const StepRunner& runner, std::size_t steps, double max_seconds, const Team& team,
               Trace& trace) {
  constexpr std::size_t kLargestBatch = 256;
  // At least one, as the first step of a case is where the trace learns its segments.
  std::size_t left = std::max<std::size_t>(1, steps);
  std::vector<double> step_s;
  const Stopwatch stopwatch;
  for (std::size_t batch = 1; batch > 0;) {
    run_batch(runner, batch, team, trace);
    step_s.assign(trace.step_s().begin(), trace.step_s().end());
    left -= batch;
    const std::size_t next =
        stopwatch.elapsed_s() < max_seconds ? std::min({left, 2 * batch, kLargestBatch}) : 0;
    batch = static_cast<std::size_t>(team.active->broadcast(static_cast<std::int64_t>(next)));
  }
  const auto middle = step_s.begin() + static_cast<std::ptrdiff_t>(step_s.size() / 2);
  std::nth_element(step_s.begin(), middle, step_s.end());
  return team.active->max(*middle);
}

Samples sample(const StepRunner& runner, const StopSettings& settings, double expected_step_s,
               const Team& team, Trace& trace) {
  Samples samples;
  StopRule rule(settings);
  const Stopwatch stopwatch;
  for (;;) {
    // One rank decides, as clocks differ.
    const auto steps = static_cast<std::size_t>(team.active->broadcast(
        static_cast<std::int64_t>(rule.next_batch(stopwatch.elapsed_s(), expected_step_s))));
    if (steps == 0) break;
    run_batch(runner, steps, team, trace);
    const std::size_t before = samples.step_s.size();
    reduce_batch(trace, team, samples);
    rule.add(std::span(samples.step_s).subspan(before));
    if (runner.after_batch) runner.after_batch(steps);
  }
  samples.converged = rule.converged();
  return samples;
}

namespace {

// The parts of a batch's steps in one group, sample after sample: [samples, width], with a column for each
// part and behind them one for each kind of collective.
struct GroupBatch {
  enum Part { wait, forward_compute, backward_compute, forward_communication, backward_communication, parts };
  std::vector<Segment> kinds;
  std::vector<double> step_s;
  std::vector<double> part_s;

  [[nodiscard]] std::size_t width() const { return parts + kinds.size(); }
};

std::vector<Segment> kinds_of(std::span<const Segment> segments) {
  std::vector<Segment> kinds;
  for (const Segment& segment : segments) {
    if (segment.activity == Activity::compute) continue;
    if (std::find(kinds.begin(), kinds.end(), segment) == kinds.end()) kinds.push_back(segment);
  }
  return kinds;
}

// The transfer itself is what the last rank to arrive sees: the shortest time among those that take part.
// Where several parts of the group each have a collective of their own, that of the slowest part.
void take_slowest_part(const Trace& trace, const Control& group, std::vector<double>& shortest) {
  constexpr double kForever = 1e300;
  const auto segments = trace.segments();
  for (std::size_t at = 0; at < segments.size(); ++at) {
    const std::int64_t ranks = segments[at].ranks;
    if (ranks == 0 || ranks >= group.size()) continue;
    const auto parts = static_cast<std::size_t>(group.size() / ranks);
    const auto own = static_cast<std::size_t>(group.rank() / ranks);
    std::vector<double> times(trace.steps() * parts, kForever);  // [steps, parts]
    for (std::size_t k = 0; k < trace.steps(); ++k)
      times[k * parts + own] = trace.segment_s()[k * segments.size() + at];
    group.reduce_min(times);
    for (std::size_t k = 0; k < trace.steps(); ++k) {
      const auto first = times.begin() + static_cast<std::ptrdiff_t>(k * parts);
      shortest[k * segments.size() + at] =
          *std::max_element(first, first + static_cast<std::ptrdiff_t>(parts));
    }
  }
}

double compute_of_this_rank(const Trace& trace) {
  const auto segments = trace.segments();
  double sum_s = 0;
  for (std::size_t i = 0; i < trace.segment_s().size(); ++i) {
    if (segments[i % segments.size()].activity == Activity::compute) sum_s += trace.segment_s()[i];
  }
  return sum_s;
}

GroupBatch reduce_group(const Trace& trace, const Control& group) {
  GroupBatch batch;
  const auto segments = trace.segments();
  batch.kinds = kinds_of(segments);
  batch.step_s.assign(trace.step_s().begin(), trace.step_s().end());
  std::vector<double> longest(trace.segment_s().begin(), trace.segment_s().end());
  std::vector<double> shortest = longest;
  group.reduce_max(batch.step_s);
  group.reduce_max(longest);
  group.reduce_min(shortest);
  take_slowest_part(trace, group, shortest);
  batch.part_s.resize(batch.step_s.size() * batch.width());
  for (std::size_t i = 0; i < longest.size(); ++i) {
    double* part = batch.part_s.data() + i / segments.size() * batch.width();
    const Segment& segment = segments[i % segments.size()];
    const auto half = static_cast<std::size_t>(segment.direction);
    if (segment.activity == Activity::compute) {
      part[GroupBatch::forward_compute + half] += longest[i];
      continue;
    }
    part[GroupBatch::forward_communication + half] += shortest[i];
    part[GroupBatch::wait] += longest[i] - shortest[i];
    const auto kind = std::find(batch.kinds.begin(), batch.kinds.end(), segment) - batch.kinds.begin();
    part[GroupBatch::parts + kind] += shortest[i];
  }
  return batch;
}

// Several groups, as data-parallel replicas: a step is as long as that of the slowest group, and its parts
// are that group's, so that they add up.
void take_slowest_group(const Team& team, GroupBatch& batch) {
  std::vector<double> own = batch.step_s;
  team.active->reduce_max(batch.step_s);
  // Of groups that are equally slow, the first rank of the first one speaks.
  std::vector<std::int64_t> speaker(own.size());
  const std::int64_t nobody = team.active->size();
  for (std::size_t k = 0; k < own.size(); ++k) {
    const bool slowest = team.group->rank() == 0 && own[k] == batch.step_s[k];
    speaker[k] = slowest ? team.active->rank() : nobody;
  }
  std::vector<std::int64_t> chosen = speaker;
  team.active->reduce_min(chosen);
  for (std::size_t i = 0; i < batch.part_s.size(); ++i) {
    const std::size_t k = i / batch.width();
    if (speaker[k] == nobody || speaker[k] != chosen[k]) batch.part_s[i] = 0;
  }
  team.active->reduce_sum(batch.part_s);
}

}  // namespace

void reduce_batch(const Trace& trace, const Team& team, Samples& samples) {
  std::vector<double> host_step_s(trace.host_step_s().begin(), trace.host_step_s().end());
  if (!host_step_s.empty()) team.active->reduce_max(host_step_s);
  samples.host_step_s.insert(samples.host_step_s.end(), host_step_s.begin(), host_step_s.end());
  samples.own_compute_s += compute_of_this_rank(trace);
  GroupBatch batch = reduce_group(trace, *team.group);
  if (team.groups.size() > 1) take_slowest_group(team, batch);
  if (samples.collectives.empty()) {
    for (const Segment& kind : batch.kinds) samples.collectives.push_back({kind, {}});
  }
  for (std::size_t k = 0; k < batch.step_s.size(); ++k) {
    const double* part = batch.part_s.data() + k * batch.width();
    double compute_s = 0, communication_s = 0;
    for (std::size_t half = 0; half < kDirections; ++half) {
      const double compute = part[GroupBatch::forward_compute + half];
      const double communication = part[GroupBatch::forward_communication + half];
      samples.compute_by_half_s[half].push_back(compute);
      samples.communication_by_half_s[half].push_back(communication);
      compute_s += compute;
      communication_s += communication;
    }
    samples.step_s.push_back(batch.step_s[k]);
    samples.compute_s.push_back(compute_s);
    samples.communication_s.push_back(communication_s);
    samples.wait_s.push_back(part[GroupBatch::wait]);
    samples.other_s.push_back(batch.step_s[k] - compute_s - communication_s);
    for (std::size_t kind = 0; kind < batch.kinds.size(); ++kind)
      samples.collectives[kind].communication_s.push_back(part[GroupBatch::parts + kind]);
  }
}

}  // namespace tpbench
