#include "bench/sampling.hpp"

#include <algorithm>
#include <span>
#include <vector>

namespace tpbench {
namespace {

constexpr std::size_t kLargestBatch = 256;

// The steps that `trace` holds from `first` on, in seconds: each as long as on its slowest rank, by that
// rank's clock.
std::vector<double> own_steps(const Trace& trace, std::size_t first) {
  std::vector<double> step_s;
  for (const StepSpan& step : std::span(trace.held().steps).subspan(first))
    step_s.push_back(static_cast<double>(step.end_ns - step.start_ns) * 1e-9);
  return step_s;
}

double median_seconds(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

void ClockCare::look() {
  if (team_.clock->is_one_clock()) return;
  constexpr double kSeldom_s = 1;
  const bool due = since_.elapsed_s() > std::max(kSeldom_s, 10 * took_s_);
  if (team_.active->broadcast(std::int64_t{due ? 1 : 0}) == 1) measure();
}

void ClockCare::measure() {
  const Stopwatch stopwatch;
  team_.clock->measure();
  took_s_ = stopwatch.elapsed_s();
  since_.restart();
}

bool holds_many_events(const Trace& trace) {
  return trace.held().steps.size() * trace.held().events.size() * sizeof(EventSpan) > std::size_t{32} << 20;
}

void run_batch(const StepRunner& runner, std::size_t steps, const Team& team, Trace& trace) {
  StepStart& start = *team.start;
  const std::size_t wanted = trace.held().steps.size() + steps;
  trace.reserve(steps);
  for (bool running = false;;) {  // a step that is not yet known to have begun in time
    const bool more = trace.held().steps.size() < wanted;
    if (more && runner.before_step) runner.before_step();
    if (more) trace.prepare_step();
    trace.heartbeat().beat(Activity::synchronise);
    const bool in_time = more ? start.agree() : start.conclude();
    if (running && !in_time) trace.drop_step();
    if (!more) {
      running = false;
      if (in_time) break;
      continue;
    }
    start.wait();
    trace.begin_step(start.start_ns());
    runner.step(trace);
    trace.end_step();
    running = true;
  }
  trace.heartbeat().beat(Activity::exchange);
}

StepCost warm_up(const StepRunner& runner, std::size_t steps, double max_seconds, const Team& team,
                 Trace& trace) {
  // At least one, as the first step of a case is where the trace learns its events.
  std::size_t left = std::max<std::size_t>(1, steps);
  StepCost cost;
  const Stopwatch stopwatch;
  for (std::size_t batch = 1; batch > 0;) {
    trace.forget();
    const Stopwatch of_batch;
    run_batch(runner, batch, team, trace);
    cost.sample_s = of_batch.elapsed_s() / static_cast<double>(batch);
    cost.step_s = median_seconds(own_steps(trace, 0));
    left -= batch;
    const std::size_t next =
        stopwatch.elapsed_s() < max_seconds ? std::min({left, 2 * batch, kLargestBatch}) : 0;
    batch = static_cast<std::size_t>(team.active->broadcast(static_cast<std::int64_t>(next)));
  }
  trace.forget();
  return {team.active->max(cost.step_s), team.active->max(cost.sample_s)};
}

Samples sample(const StepRunner& runner, const StopSettings& settings, double expected_sample_s,
               const Team& team, Trace& trace) {
  Samples samples;
  samples.layers_scale = runner.layers_scale;
  StopRule rule(settings);
  const std::int64_t starts = team.start->starts(), late_starts = team.start->late_starts();
  ClockCare clocks(team);
  clocks.measure();
  const Stopwatch stopwatch;
  for (;;) {
    // One rank decides, as clocks differ.
    const auto steps = static_cast<std::size_t>(team.active->broadcast(
        static_cast<std::int64_t>(rule.next_batch(stopwatch.elapsed_s(), expected_sample_s))));
    if (steps == 0) break;
    const std::size_t before = trace.held().steps.size();
    run_batch(runner, steps, team, trace);
    // The clocks are known only as they were before: what all see is taken over the ranks when they have been
    // measured after, too.
    std::vector<double> step_s = own_steps(trace, before);
    team.active->reduce_max(step_s);
    rule.add(step_s);
    if (runner.after_batch) runner.after_batch(steps);
    clocks.look();
    if (holds_many_events(trace)) {
      clocks.measure();
      reduce_steps(trace.held(), team, samples);
      trace.forget();
    }
  }
  clocks.measure();
  reduce_steps(trace.held(), team, samples);
  keep_median_step(trace.held(), samples);
  trace.forget();
  samples.converged = rule.converged();
  samples.starts = team.start->starts() - starts;
  samples.late_starts = team.start->late_starts() - late_starts;
  return samples;
}

}  // namespace tpbench
