#include "environment/launch_facts.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/json.hpp"
#include "comm/mpi_info.hpp"
#include "environment/host.hpp"
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

std::int64_t default_threads(std::int64_t node_cores, std::int64_t ranks_of_node, std::int64_t bound_cores) {
  return std::max<std::int64_t>(1,
                                std::min(node_cores / std::max<std::int64_t>(1, ranks_of_node), bound_cores));
}

std::vector<std::string> distinct_names(std::vector<std::string> names) {
  std::map<std::string, int> seen;
  for (std::string& name : names) {
    const int count = ++seen[name];
    if (count > 1) name += fmt::format("#{}", count);
  }
  return names;
}

LaunchFacts gather_launch_facts(const Session& session) {
  const HostFacts host = read_host_facts();
  const std::vector<std::int64_t> cpus = allowed_cpus();
  const std::int64_t bound = count_cores(cpus), cores = core_count();
  session.world().barrier();  // all ranks work at once, as they will in a step
  const NoiseResult noise = probe_noise();

  LaunchFacts facts;
  facts.worst_noise = session.world().max(noise.relative());
  // Other degrees than the launch's must be comparable: one number for all ranks.
  facts.threads_per_rank = session.world().min(default_threads(cores, session.host().size(), bound));

  // Only the first rank of a host describes the host: rank 0 does not hold what would grow with the ranks.
  const Json mine = {{"machine", host.boot_id_hash.value_or("")},
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
    facts.node_of_host.push_back(session.node_of()[static_cast<std::size_t>(place.world_rank)]);
  }
  name_hosts(session.host_of(), facts);
  facts.noise = noise_to_json(noise);
  facts.noise["worst_rank_relative"] = facts.worst_noise;
  return facts;
}

}  // namespace tpbench
