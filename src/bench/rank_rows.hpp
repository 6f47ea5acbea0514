#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/samples.hpp"
#include "bench/team.hpp"
#include "result/rank_results.hpp"
#include "result/step_trace.hpp"

namespace tpbench {

/// What the kernel counts of this process and its CPUs, since they were started.
struct RankCounters {
  std::int64_t switches = 0, preemptions = 0;
  std::optional<double> steal_s, throttled_s;
};

RankCounters read_rank_counters();

/// One row for each active rank, in their order; the same on all. `before` and `after`: around the samples.
/// Hosts and CPUs are those that the launch knows, and not in here. Collective over the active ranks.
std::vector<RankResult> gather_rank_rows(const Samples& samples, const RankCounters& before,
                                         const RankCounters& after, const Team& team);

/// The step that each rank kept, on the first active rank; nothing on the others, and without samples. Hosts
/// as above. Collective over the active ranks.
std::optional<StepTrace> gather_step(const Samples& samples, const Team& team);

}  // namespace tpbench
