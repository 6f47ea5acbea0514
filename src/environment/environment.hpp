#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "compute/core_rate.hpp"

namespace tpbench {

/// Where one rank runs.
struct RankPlace {
  std::int64_t world_rank = 0;
  std::string host;  ///< the `name` of one of the hosts, which no other has
  std::int64_t pid = 0;
  std::vector<std::int64_t> cpus;       ///< CPUs it may run on
  std::int64_t threads = 1;             ///< BLAS threads it uses
  std::optional<CoreRates> rates = {};  ///< what one core of it multiplies; empty when not measured
};

/// The variables of this process, each as "NAME=value".
std::vector<std::string> process_variables();

/// Those variables that steer MPI, BLAS, threads, the launcher or tpbench, by a list of prefixes; and of
/// these none whose name looks like that of a secret. Values that carry credentials in a URL are left out
/// too.
std::map<std::string, std::string> allowed_variables(std::span<const std::string> variables);

/// What is known of the launch when the sweep starts. Rank 0 has gathered it.
struct EnvironmentInputs {
  std::string label;       ///< the fabric, as the user named it
  std::string started_at;  ///< UTC
  Json mpi;                ///< describe_mpi(); null without MPI
  /// What backends say of their libraries and devices, by the key of environment.json: "blas", "gpu".
  std::map<std::string, Json> backends;
  std::vector<RankPlace> ranks;
  std::vector<Json> hosts;  ///< host_to_json(), once per host
  /// By host: mpi_components() of its first rank. Where it is absent, those of rank 0 stand for all.
  std::vector<Json> components;
  /// By host: what MPI takes for one node, inside which messages go through memory. Where it is absent, each
  /// host is one.
  std::vector<int> node_of_host;
  std::string launcher = "none";              ///< Launch::launcher
  std::optional<std::int64_t> launcher_size;  ///< the number of ranks by the launcher's account
  std::optional<std::string> blas_problem;    ///< why_blas_cannot_start(), of the first rank that cannot
  Json noise;                                 ///< result of the fixed-work noise probe; null when not run
  /// The most that a rank has in a case of library onednn, which computes on OpenMP's; 1 where there is none.
  std::int64_t openmp_threads = 1;
  std::vector<std::string> variables = process_variables();
};

/// environment.json, `tpbench.environment/2`; valid against docs/environment.schema.json.
Json describe_environment(const EnvironmentInputs& inputs);

/// What is wrong with the machine or the launch, one sentence each with its remedy; empty when nothing is.
std::vector<std::string> environment_problems(const EnvironmentInputs& inputs);

/// Of these, variables that steer library onednn, where it is loaded, and should not.
std::vector<std::string> onednn_problems(const EnvironmentInputs& inputs);

/// Whether MPI takes two of the hosts for one node.
bool on_one_node(const EnvironmentInputs& inputs, std::size_t first, std::size_t second);
/// Of one host, as host_to_json() describes it.
std::optional<std::string> governor_problem(const Json& host);
std::optional<std::string> huge_pages_problem(const Json& host);
/// Hosts that multiply with different kernels; one host's name for each core.
std::string mixed_kernels_problem(const std::map<std::string, std::string>& host_of_core);

/// What the data of a collective travels over, as far as can be told: "all ranks are on one host: ...".
std::vector<std::string> data_path_remarks(const EnvironmentInputs& inputs);

}  // namespace tpbench
