#pragma once

#include "base/json.hpp"
#include "bench/resting_ranks.hpp"
#include "comm/common_clock.hpp"
#include "comm/session.hpp"
#include "compute/backend.hpp"
#include "environment/launch_facts.hpp"
#include "measure/statistics.hpp"

namespace tpbench {

/// What this tool itself costs, in seconds.
struct SelfCheck {
  double timer_resolution_s = 0;  ///< the smallest step of the clock
  double timer_call_s = 0;        ///< one reading
  Summary barrier;                ///< what stands before a sample where clocks are not aligned, on this rank
  Summary barrier_exit_skew;      ///< last rank out - first rank out
  ClockQuality clock;             ///< how well the ranks' clocks are known to each other
  Summary start_skew;             ///< last rank - first rank to begin, where a moment is agreed on
  double late_starts = 0;         ///< the part of those moments that some rank heard of too late
  double start_margin_s = 0;      ///< from the last rank's coming to the moment agreed on
  Summary empty_step;             ///< a step with nothing in it, as a case would report it
  std::optional<Summary>
      empty_host_step;             ///< the same by the host's clock, where a device's took `empty_step`
  double beside_step_s = 0;        ///< wall time of one sample beside its step
  std::string core;                ///< kernels of the BLAS library, of rank 0
  std::optional<CoreRates> worst;  ///< by type, those of the rank that is farthest below what a core can do
  std::vector<std::string> problems;     ///< of kernels and cores, with remedies
  std::optional<double> core_latency_s;  ///< CoreLatency::slowest_s()
  std::optional<RestingRanks>
      resting;             ///< what they cost the others; empty where there are none, or no oneDNN
  double worst_noise = 0;  ///< NoiseResult::relative(), the worst rank
  Json noise;
};

/// Collective over the world; complete on rank 0. The empty step is that of `backend`: by its device's clock
/// where it has one. Products beside ranks at rest run on `threads` of each rank.
SelfCheck run_selfcheck(Session& session, const LaunchFacts& facts, Backend& backend, int threads);

Json selfcheck_to_json(const SelfCheck& check, std::int64_t ranks);
/// What a person reads, with a verdict on each line.
std::string selfcheck_to_text(const SelfCheck& check, std::int64_t ranks);

}  // namespace tpbench
