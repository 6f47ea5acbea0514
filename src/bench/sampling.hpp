#pragma once

#include <cstddef>
#include <functional>

#include "bench/samples.hpp"
#include "bench/team.hpp"
#include "measure/stop_rule.hpp"
#include "measure/trace.hpp"

namespace tpbench {

/// What the sampler runs: one whole step. Knows nothing of layers, so that an empty step can be sampled too.
struct StepRunner {
  std::function<void(Trace&)> step;
  std::function<void()> before_step;  ///< outside the timed part; may be empty (cold caches are made here)
  /// Called when `steps` sampled steps have been run; may be empty (what is compared with them runs here).
  std::function<void(std::size_t steps)> after_batch = {};
  double layers_scale = 1;  ///< Samples::layers_scale
};

/// Has the clocks of a team measured again while it samples: they may drift otherwise than in a straight
/// line.
class ClockCare {
 public:
  explicit ClockCare(const Team& team) : team_(team) {}
  /// Measures where the last time is a second ago, and for no more than a tenth of the time. Collective.
  void look();
  /// Measures. Collective.
  void measure();

 private:
  const Team& team_;
  Stopwatch since_;
  double took_s_ = 0;
};

/// Runs steps until `trace` holds `steps` more that all ranks began in time. Collective over the team's
/// active ranks.
void run_batch(const StepRunner& runner, std::size_t steps, const Team& team, Trace& trace);

/// Whether what is held takes so much memory (32 MiB) that it is to be reduced and forgotten.
bool holds_many_events(const Trace& trace);

/// What one step takes, in seconds, for planning: the median of the slowest rank, and the mean wall time of a
/// sample with all that belongs to it.
struct StepCost {
  double step_s = 0;
  double sample_s = 0;
};

/// Runs `steps` untimed steps, at least one, or as many as `max_seconds` hold.
StepCost warm_up(const StepRunner& runner, std::size_t steps, double max_seconds, const Team& team,
                 Trace& trace);

/// Samples until the stop rule is content. `expected_sample_s`: wall time of a sample, what runs after it
/// included. Clocks of several hosts are measured before and after, and now and then in between. Collective
/// over the team's active ranks.
Samples sample(const StepRunner& runner, const StopSettings& settings, double expected_sample_s,
               const Team& team, Trace& trace);

}  // namespace tpbench
