#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <vector>

#include "bench/team.hpp"
#include "compute/backend.hpp"
#include "layers/layer.hpp"
#include "measure/stop_rule.hpp"
#include "measure/trace.hpp"
#include "workload/workload.hpp"

namespace tpbench {

/// Samples of one case, in seconds, reduced over the ranks; the same on all ranks but for
/// own_compute_s.
/// Per sample: step = compute + communication + other.
struct Samples {
  std::vector<double> step_s, compute_s, communication_s, wait_s, other_s;
  /// The step by the hosts' clocks; empty where step_s is by them.
  std::vector<double> host_step_s;
  /// What of compute_s and communication_s belongs to each half of the pass, by Direction.
  std::array<std::vector<double>, kDirections> compute_by_half_s, communication_by_half_s;
  /// The part of communication_s that each kind of collective has; the same kinds on all ranks.
  struct OfCollective {
    Segment kind;
    std::vector<double> communication_s;
  };
  std::vector<OfCollective> collectives;
  bool converged = false;
  double own_compute_s = 0;  ///< of this rank alone, over all samples: the one value that differs between ranks
};

/// What the sampler runs: one whole step. Knows nothing of layers, so that an empty step can be sampled too.
struct StepRunner {
  std::function<void(Trace&)> step;
  std::function<void()> before_step;  ///< outside the timed part; may be empty (cold caches are made here)
  /// Called when `steps` sampled steps have been run; may be empty (what is compared with them runs here).
  std::function<void(std::size_t steps)> after_batch = {};
};

/// Runs `steps` steps and times them. Collective over the team's active ranks.
void run_batch(const StepRunner& runner, std::size_t steps, const Team& team, Trace& trace);

/// Runs `steps` untimed steps, at least one, or as many as `max_seconds` hold, and returns the median seconds
/// of one, for planning.
double warm_up(const StepRunner& runner, std::size_t steps, double max_seconds, const Team& team,
               Trace& trace);

/// Samples until the stop rule is content. Collective over the team's active ranks.
Samples sample(const StepRunner& runner, const StopSettings& settings, double expected_step_s,
               const Team& team, Trace& trace);

/// Reduces a batch of one rank's durations over the ranks and appends it to `samples` (docs/methodology.md).
void reduce_batch(const Trace& trace, const Team& team, Samples& samples);

}  // namespace tpbench
