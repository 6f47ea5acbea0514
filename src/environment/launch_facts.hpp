#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "comm/session.hpp"
#include "compute/core_rate.hpp"
#include "compute/reference_work.hpp"
#include "environment/environment.hpp"
#include "environment/host.hpp"
#include "environment/launch.hpp"

namespace tpbench {

/// How one rank multiplies.
struct RankCompute {
  std::string core;                   ///< OpenBLAS's kernels in use
  std::optional<std::string> advice;  ///< kernel_advice()
  std::optional<CoreRates> rates;     ///< measured on all ranks at once; empty where BLAS cannot start
};

/// What the ranks of a launch tell rank 0 about themselves when the run starts.
struct LaunchFacts {
  std::vector<RankPlace> ranks;         ///< by world rank
  std::vector<std::string> machine_of;  ///< by world rank: equal where two "hosts" are one running kernel
  std::vector<std::int64_t> cores_of;   ///< by world rank: physical cores of its node
  std::vector<std::int64_t> bound_cores_of;  ///< by world rank: physical cores that it may use
  std::vector<Json> hosts;                   ///< one description per host, each of another name
  std::vector<int> node_of_host;             ///< by host: Hosts::node_of
  std::vector<Json> components;              ///< by host: mpi_components() of its first rank
  std::vector<RankCompute> compute_of;       ///< by world rank
  /// Why no product can be made, by the first rank that cannot; known to every rank.
  std::optional<std::string> blas_problem;
  double worst_noise = 0;             ///< largest NoiseResult::relative() over the ranks
  Json noise;                         ///< that of rank 0
  std::int64_t threads_per_rank = 1;  ///< the default: the same on all ranks; known to every rank
};

/// Cores of the node, or of the time that a quota grants, divided by its ranks, and no more than this rank
/// may run on; at least 1.
std::int64_t default_threads(std::int64_t node_cores, std::int64_t ranks_of_node, std::int64_t bound_cores,
                             std::optional<double> cpu_quota);

/// Physical cores behind `cpus`, the binding of this rank, and no more than what Slurm allocated to it, which
/// need not have bound anything.
std::int64_t usable_cores(std::span<const std::int64_t> cpus, std::int64_t ranks_of_node);

/// Host names that are told apart: the second host called "node" is "node#2".
std::vector<std::string> distinct_names(std::vector<std::string> names);

/// host_to_json() and, under "blas", the kernels of this process with what is to be done about them.
Json describe_this_host(const HostFacts& host);

/// What environment.json says of a launch that started so; the label and what backends say of themselves are
/// the caller's.
EnvironmentInputs launch_inputs(const Launch& launch, const LaunchFacts& facts);

/// Collective over the world. Throws EnvironmentError on all ranks when one has not the memory.
ReferenceWork take_reference_work(const Session& session);

/// Collective over the world. Complete on rank 0; on the others `threads_per_rank` and `blas_problem` are
/// set.
LaunchFacts gather_launch_facts(const Session& session, ReferenceWork& reference);

}  // namespace tpbench
