#include "environment/launch_facts.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/units.hpp"
#include "comm/mpi_info.hpp"
#include "compute/blas_kernels.hpp"
#include "environment/host.hpp"
#include "environment/launch.hpp"
#include "environment/noise.hpp"

namespace tpbench {
namespace {

// Rank 0 has one description per host, in the order of their first ranks.
void name_hosts(std::span<const int> host_of, LaunchFacts& facts) {
  std::vector<std::string> names;
  for (const Json& host : facts.hosts) names.push_back(host.at("name").get<std::string>());
  names = distinct_names(std::move(names));
  for (std::size_t host = 0; host < names.size(); ++host) facts.hosts[host]["name"] = names[host];
  for (std::size_t rank = 0; rank < facts.ranks.size(); ++rank) {
    facts.ranks[rank].host = names[static_cast<std::size_t>(host_of[rank])];
    if (facts.machine_of[rank].empty()) facts.machine_of[rank] = facts.ranks[rank].host;
  }
}

}  // namespace

namespace {

Json compute_of_this_rank(bool can_multiply) {
  const BlasKernels& kernels = blas_kernels();
  return {{"core", kernels.core},
          {"advice", json_or_null(kernel_advice(kernels, detect_launch().launcher))},
          {"rates", can_multiply ? core_rates_to_json(measure_core_rates()) : Json(nullptr)}};
}

RankCompute compute_from(const Json& said) {
  RankCompute compute;
  compute.core = said.at("core").get<std::string>();
  compute.advice = optional_from<std::string>(said, "advice");
  if (!said.at("rates").is_null()) compute.rates = core_rates_from_json(said.at("rates"));
  return compute;
}

}  // namespace

std::int64_t default_threads(std::int64_t node_cores, std::int64_t ranks_of_node, std::int64_t bound_cores,
                             std::optional<double> cpu_quota) {
  const std::int64_t ranks = std::max<std::int64_t>(1, ranks_of_node);
  std::int64_t threads = std::min(node_cores / ranks, bound_cores);
  if (cpu_quota) threads = std::min(threads, static_cast<std::int64_t>(*cpu_quota) / ranks);
  return std::max<std::int64_t>(1, threads);
}

Json describe_this_host(const HostFacts& host) {
  Json description = host_to_json(host);
  description["blas"] = kernels_to_json(blas_kernels());
  description["blas"]["advice"] = json_or_null(kernel_advice(blas_kernels(), detect_launch().launcher));
  return description;
}

std::vector<std::string> distinct_names(std::vector<std::string> names) {
  std::map<std::string, int> seen;
  for (std::string& name : names) {
    const int count = ++seen[name];
    if (count > 1) name += fmt::format("#{}", count);
  }
  return names;
}

ReferenceWork take_reference_work(const Session& session) {
  std::optional<ReferenceWork> work;
  std::optional<std::string> problem;
  try {
    work.emplace();
  } catch (const EnvironmentError& error) {
    problem = error.what();
  }
  if (const auto agreed = session.world().agree(problem)) throw EnvironmentError(*agreed);
  return *work;
}

std::int64_t usable_cores(std::span<const std::int64_t> cpus, std::int64_t ranks_of_node) {
  const std::int64_t bound = count_cores(cpus);
  const std::optional<std::int64_t> allocated = slurm_cpus_per_rank(ranks_of_node);
  if (!allocated) return bound;
  // Slurm counts hardware threads.
  const auto threads_of_core = static_cast<std::int64_t>(cpus.size()) / bound;
  return std::clamp<std::int64_t>((*allocated + threads_of_core - 1) / threads_of_core, 1, bound);
}

LaunchFacts gather_launch_facts(const Session& session, ReferenceWork& reference) {
  const HostFacts host = read_host_facts();
  const std::vector<std::int64_t> cpus = allowed_cpus();
  const std::int64_t bound = usable_cores(cpus, session.host().size()), cores = core_count();
  LaunchFacts facts;
  // Other degrees than the launch's must be comparable: one number for all ranks.
  facts.threads_per_rank =
      session.world().min(default_threads(cores, session.host().size(), bound, host.cpu_quota));

  facts.blas_problem = session.world().agree(why_blas_cannot_start(static_cast<int>(facts.threads_per_rank)));
  session.world().barrier();  // all ranks work at once, as they will in a step
  const NoiseResult noise = probe_noise(reference, !facts.blas_problem);
  facts.worst_noise = session.world().max(noise.relative());
  const Json compute = compute_of_this_rank(!facts.blas_problem);

  // Only the first rank of a host describes the host: rank 0 does not hold what would grow with the ranks.
  const Json mine = {{"machine", host.boot_id_hash.value_or("")},
                     {"pid", getpid()},
                     {"cpus", cpus},
                     {"cores", cores},
                     {"bound_cores", bound},
                     {"compute", compute},
                     {"components", session.host().rank() == 0 ? mpi_components() : Json(nullptr)},
                     {"description", session.host().rank() == 0 ? describe_this_host(host) : Json(nullptr)}};
  std::int64_t rank = 0;
  for (const std::string& text : session.world().gather(mine.dump())) {
    const Json said = Json::parse(text);
    RankPlace place;
    place.world_rank = rank++;
    place.pid = said.at("pid").get<std::int64_t>();
    place.cpus = said.at("cpus").get<std::vector<std::int64_t>>();
    place.threads = facts.threads_per_rank;
    facts.compute_of.push_back(compute_from(said.at("compute")));
    place.rates = facts.compute_of.back().rates;
    facts.ranks.push_back(place);
    facts.machine_of.push_back(said.at("machine").get<std::string>());
    facts.cores_of.push_back(said.at("cores").get<std::int64_t>());
    facts.bound_cores_of.push_back(said.at("bound_cores").get<std::int64_t>());
    if (said.at("description").is_null()) continue;
    facts.hosts.push_back(said.at("description"));
    facts.components.push_back(said.at("components"));
    facts.node_of_host.push_back(session.node_of()[static_cast<std::size_t>(place.world_rank)]);
  }
  name_hosts(session.host_of(), facts);
  facts.noise = noise_to_json(noise);
  facts.noise["worst_rank_relative"] = facts.worst_noise;
  return facts;
}

EnvironmentInputs launch_inputs(const Launch& launch, const LaunchFacts& facts) {
  EnvironmentInputs inputs;
  inputs.started_at = utc_timestamp();
  inputs.mpi = describe_mpi();
  inputs.ranks = facts.ranks;
  inputs.hosts = facts.hosts;
  inputs.components = facts.components;
  inputs.node_of_host = facts.node_of_host;
  inputs.launcher = launch.launcher;
  if (launch.size) inputs.launcher_size = *launch.size;
  inputs.blas_problem = facts.blas_problem;
  inputs.noise = facts.noise;
  return inputs;
}

}  // namespace tpbench
