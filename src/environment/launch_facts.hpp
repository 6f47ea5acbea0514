#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "comm/session.hpp"
#include "environment/environment.hpp"
#include "environment/launch.hpp"

namespace tpbench {

/// What the ranks of a launch tell rank 0 about themselves when the run starts.
struct LaunchFacts {
  std::vector<RankPlace> ranks;         ///< by world rank
  std::vector<std::string> machine_of;  ///< by world rank: equal where two "hosts" are one running kernel
  std::vector<std::int64_t> cores_of;   ///< by world rank: physical cores of its node
  std::vector<std::int64_t> bound_cores_of;  ///< by world rank: physical cores that it may use
  std::vector<Json> hosts;                   ///< one description per host
  std::vector<Json> components;              ///< by host: mpi_components() of its first rank
  double worst_noise = 0;                    ///< largest NoiseResult::relative() over the ranks
  Json noise;                                ///< that of rank 0
  std::int64_t threads_per_rank = 1;         ///< the default: the same on all ranks; known to every rank
};

/// Cores of the node divided by its ranks, and no more than this rank may run on; at least 1.
std::int64_t default_threads(std::int64_t node_cores, std::int64_t ranks_of_node, std::int64_t bound_cores);

/// Physical cores behind `cpus`, the binding of this rank, and no more than what Slurm allocated to it, which
/// need not have bound anything.
std::int64_t usable_cores(std::span<const std::int64_t> cpus, std::int64_t ranks_of_node);

/// Collective over the world. Complete on rank 0; on the others only `threads_per_rank` is set.
LaunchFacts gather_launch_facts(const Session& session);

}  // namespace tpbench
