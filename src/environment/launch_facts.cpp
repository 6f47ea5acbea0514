#include "environment/launch_facts.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/json.hpp"
#include "comm/mpi_info.hpp"
#include "environment/host.hpp"
#include "environment/launch.hpp"
#include "environment/noise.hpp"

namespace tpbench {

std::int64_t default_threads(std::int64_t node_cores, std::int64_t ranks_of_node, std::int64_t bound_cores) {
  return std::max<std::int64_t>(1,
                                std::min(node_cores / std::max<std::int64_t>(1, ranks_of_node), bound_cores));
}

std::int64_t usable_cores(std::span<const std::int64_t> cpus, std::int64_t ranks_of_node) {
  const std::int64_t bound = count_cores(cpus);
  const std::optional<std::int64_t> allocated = slurm_cpus_per_rank(ranks_of_node);
  if (!allocated) return bound;
  // Slurm counts hardware threads.
  const auto threads_of_core = static_cast<std::int64_t>(cpus.size()) / bound;
  return std::clamp<std::int64_t>((*allocated + threads_of_core - 1) / threads_of_core, 1, bound);
}

LaunchFacts gather_launch_facts(const Session& session) {
  const HostFacts host = read_host_facts();
  const std::vector<std::int64_t> cpus = allowed_cpus();
  const std::int64_t bound = usable_cores(cpus, session.host().size()), cores = core_count();
  session.world().barrier();  // all ranks work at once, as they will in a step
  const NoiseResult noise = probe_noise();

  LaunchFacts facts;
  facts.worst_noise = session.world().max(noise.relative());
  // Other degrees than the launch's must be comparable: one number for all ranks.
  facts.threads_per_rank = std::llround(
      session.world().min(static_cast<double>(default_threads(cores, session.host().size(), bound))));

  // Only the first rank of a host describes the host: rank 0 does not hold what would grow with the ranks.
  const Json mine = {{"host", host.name},
                     {"machine", host.boot_id_hash.value_or(host.name)},
                     {"pid", getpid()},
                     {"cpus", cpus},
                     {"cores", cores},
                     {"bound_cores", bound},
                     {"components", session.host().rank() == 0 ? mpi_components() : Json(nullptr)},
                     {"description", session.host().rank() == 0 ? host_to_json(host) : Json(nullptr)}};
  std::int64_t rank = 0;
  for (const std::string& text : session.world().gather(mine.dump())) {
    const Json said = Json::parse(text);
    RankPlace place;
    place.world_rank = rank++;
    place.host = said.at("host").get<std::string>();
    place.pid = said.at("pid").get<std::int64_t>();
    place.cpus = said.at("cpus").get<std::vector<std::int64_t>>();
    place.threads = facts.threads_per_rank;
    facts.ranks.push_back(place);
    facts.machine_of.push_back(said.at("machine").get<std::string>());
    facts.cores_of.push_back(said.at("cores").get<std::int64_t>());
    facts.bound_cores_of.push_back(said.at("bound_cores").get<std::int64_t>());
    if (said.at("description").is_null()) continue;
    facts.hosts.push_back(said.at("description"));
    facts.components.push_back(said.at("components"));
  }
  facts.noise = noise_to_json(noise);
  facts.noise["worst_rank_relative"] = facts.worst_noise;
  return facts;
}

}  // namespace tpbench
