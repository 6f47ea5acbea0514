#include "base/json.hpp"
#include "environment/host.hpp"

namespace tpbench {
namespace {

Json cache_to_json(const CacheFacts& cache) {
  return {{"level", cache.level},
          {"type", cache.type},
          {"bytes", cache.bytes},
          {"count", cache.count},
          {"shared_by_cpus", cache.shared_by_cpus}};
}

Json numa_to_json(const NumaFacts& node) {
  return {{"index", node.index}, {"memory_bytes", json_or_null(node.memory_bytes)}, {"cpus", node.cpus}};
}

Json interface_to_json(const InterfaceFacts& interface) {
  return {{"name", interface.name},
          {"kind", interface.kind},
          {"state", json_or_null(interface.state)},
          {"speed_mbit_per_s", json_or_null(interface.speed_mbit_per_s)},
          {"mtu_bytes", json_or_null(interface.mtu_bytes)},
          {"loopback", interface.loopback}};
}

template <typename Facts>
Json list_to_json(const std::vector<Facts>& list, Json (*to_json)(const Facts&)) {
  Json array = Json::array();
  for (const Facts& facts : list) array.push_back(to_json(facts));
  return array;
}

}  // namespace

Json host_to_json(const HostFacts& host) {
  return {{"name", host.name},
          {"boot_id_hash", json_or_null(host.boot_id_hash)},
          {"os", json_or_null(host.os)},
          {"kernel", json_or_null(host.kernel)},
          {"architecture", json_or_null(host.architecture)},
          {"virtualised", json_or_null(host.virtualised)},
          {"cpu_model", json_or_null(host.cpu_model)},
          {"packages", json_or_null(host.packages)},
          {"cores", json_or_null(host.cores)},
          {"cpus", json_or_null(host.cpus)},
          {"smt", json_or_null(host.smt)},
          {"cpu_quota", json_or_null(host.cpu_quota)},
          {"allowed_cpus", host.allowed_cpus},
          {"governor", json_or_null(host.governor)},
          {"caches", list_to_json(host.caches, cache_to_json)},
          {"numa_nodes", list_to_json(host.numa_nodes, numa_to_json)},
          {"memory_total_bytes", json_or_null(host.memory_total_bytes)},
          {"memory_available_bytes", json_or_null(host.memory_available_bytes)},
          {"transparent_huge_pages", json_or_null(host.transparent_huge_pages)},
          {"interfaces", list_to_json(host.interfaces, interface_to_json)}};
}

}  // namespace tpbench
