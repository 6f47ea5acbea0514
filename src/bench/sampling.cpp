#include "bench/sampling.hpp"

#include <algorithm>
#include <stdexcept>

namespace tpbench {
namespace {

CollectiveOp op_of(Activity activity) {
  switch (activity) {
    case Activity::all_reduce:
      return CollectiveOp::all_reduce;
    case Activity::all_gather:
      return CollectiveOp::all_gather;
    case Activity::reduce_scatter:
      return CollectiveOp::reduce_scatter;
    default:
      throw std::logic_error("a segment is neither compute nor a collective");
  }
}

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

}  // namespace

double warm_up(const StepRunner& runner, std::size_t steps, const Team& team, Trace& trace) {
  // At least one, as the first step of a case is where the trace learns its segments.
  run_batch(runner, std::max<std::size_t>(1, steps), team, trace);
  std::vector<double> step_s(trace.step_s().begin(), trace.step_s().end());
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
  }
  samples.converged = rule.converged();
  return samples;
}

void reduce_batch(const Trace& trace, const Team& team, Samples& samples) {
  std::vector<double> longest(trace.segment_s().begin(), trace.segment_s().end());
  std::vector<double> shortest = longest;
  std::vector<double> step(trace.step_s().begin(), trace.step_s().end());
  team.group->reduce_max(longest);
  team.group->reduce_min(shortest);
  std::vector<double> skew(longest.size());
  for (std::size_t i = 0; i < skew.size(); ++i) skew[i] = longest[i] - shortest[i];
  // Several groups: a step of data-parallel replicas is as long as that of the slowest.
  team.active->reduce_max(step);
  if (team.groups.size() > 1) {
    team.active->reduce_max(longest);
    team.active->reduce_max(shortest);
    team.active->reduce_max(skew);
  }

  const auto segments = trace.segments();
  for (std::size_t k = 0; k < step.size(); ++k) {
    double compute = 0, communication = 0, wait = 0;
    std::array<double, 3> by_op{};
    for (std::size_t s = 0; s < segments.size(); ++s) {
      const std::size_t i = k * segments.size() + s;
      if (segments[s] == Activity::compute) {
        compute += longest[i];
      } else {
        communication += shortest[i];
        by_op[static_cast<std::size_t>(op_of(segments[s]))] += shortest[i];
        wait += skew[i];
      }
    }
    samples.step_s.push_back(step[k]);
    samples.compute_s.push_back(compute);
    samples.communication_s.push_back(communication);
    samples.wait_s.push_back(wait);
    samples.other_s.push_back(step[k] - compute - communication);
    for (std::size_t op = 0; op < by_op.size(); ++op) samples.communication_by_op_s[op].push_back(by_op[op]);
  }
}

}  // namespace tpbench
