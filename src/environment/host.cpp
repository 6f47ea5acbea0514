#include "environment/host.hpp"

#include <fmt/format.h>
#include <hwloc.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>
#include <thread>
#include <tuple>

#include "base/text.hpp"
#include "environment/host_files.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;
using namespace host_files;

// hwloc's view of the node, read once. The default flags leave out what the cgroup cpuset withholds and
// ignore the binding of this process: a rank bound to one core still sees the node. Null when hwloc cannot
// read the machine.
hwloc_topology_t topology() {
  struct Destroy {
    void operator()(hwloc_topology* loaded) const { hwloc_topology_destroy(loaded); }
  };
  static const std::unique_ptr<hwloc_topology, Destroy> loaded = [] {
    std::unique_ptr<hwloc_topology, Destroy> made;
    hwloc_topology_t raw = nullptr;
    if (hwloc_topology_init(&raw) != 0) return made;
    made.reset(raw);
    if (hwloc_topology_load(raw) != 0) made.reset();
    return made;
  }();
  return loaded.get();
}

std::optional<std::int64_t> count_objects(hwloc_obj_type_t type) {
  if (topology() == nullptr) return std::nullopt;
  const int count = hwloc_get_nbobjs_by_type(topology(), type);
  return count > 0 ? std::optional<std::int64_t>(count) : std::nullopt;
}

std::vector<std::int64_t> cpus_in(hwloc_const_bitmap_t set) {
  std::vector<std::int64_t> cpus;
  if (set == nullptr || hwloc_bitmap_weight(set) < 0) return cpus;  // a set without end names no CPUs
  for (int cpu = hwloc_bitmap_first(set); cpu >= 0; cpu = hwloc_bitmap_next(set, cpu)) cpus.push_back(cpu);
  return cpus;
}

std::string cache_type_name(hwloc_obj_cache_type_t type) {
  switch (type) {
    case HWLOC_OBJ_CACHE_DATA:
      return "data";
    case HWLOC_OBJ_CACHE_INSTRUCTION:
      return "instruction";
    default:
      return "unified";
  }
}

// Caches that are alike are one entry with a count: a node of 128 cores has 400 of them. An instruction cache
// is seen by nothing that is measured here, and hwloc leaves it out.
std::vector<CacheFacts> read_caches() {
  std::vector<CacheFacts> caches;
  if (topology() == nullptr) return caches;
  for (const hwloc_obj_type_t type :
       {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L4CACHE, HWLOC_OBJ_L5CACHE}) {
    for (hwloc_obj_t at = hwloc_get_next_obj_by_type(topology(), type, nullptr); at != nullptr;
         at = hwloc_get_next_obj_by_type(topology(), type, at)) {
      const auto& cache = at->attr->cache;
      const CacheFacts facts{static_cast<std::int64_t>(cache.depth), cache_type_name(cache.type),
                             static_cast<std::int64_t>(cache.size), 1, hwloc_bitmap_weight(at->cpuset)};
      const auto alike = std::find_if(caches.begin(), caches.end(), [&](const CacheFacts& known) {
        return std::tie(known.level, known.type, known.bytes, known.shared_by_cpus) ==
               std::tie(facts.level, facts.type, facts.bytes, facts.shared_by_cpus);
      });
      if (facts.bytes <= 0) continue;
      if (alike == caches.end())
        caches.push_back(facts);
      else
        ++alike->count;
    }
  }
  return caches;
}

std::vector<NumaFacts> read_numa_nodes() {
  std::vector<NumaFacts> nodes;
  if (topology() == nullptr) return nodes;
  for (hwloc_obj_t at = hwloc_get_next_obj_by_type(topology(), HWLOC_OBJ_NUMANODE, nullptr); at != nullptr;
       at = hwloc_get_next_obj_by_type(topology(), HWLOC_OBJ_NUMANODE, at)) {
    const auto bytes = static_cast<std::int64_t>(at->attr->numanode.local_memory);
    nodes.push_back({static_cast<std::int64_t>(at->os_index),
                     bytes > 0 ? std::optional<std::int64_t>(bytes) : std::nullopt, cpus_in(at->cpuset)});
  }
  return nodes;
}

std::optional<std::string> read_cpu_model(const std::optional<std::string>& cpuinfo) {
  if (const auto name = cpuinfo ? value_of_key(*cpuinfo, "model name", ':') : std::nullopt) return name;
  if (topology() == nullptr) return std::nullopt;
  const hwloc_obj_t package = hwloc_get_obj_by_type(topology(), HWLOC_OBJ_PACKAGE, 0);
  const char* const name = package != nullptr ? hwloc_obj_get_info_by_name(package, "CPUModel") : nullptr;
  return name != nullptr ? std::optional<std::string>(name) : std::nullopt;
}

std::optional<std::string> read_governor(const fs::path& root) {
  std::set<std::string> governors;
  std::error_code error;
  for (fs::directory_iterator at(root / "sys/devices/system/cpu", error), end; !error && at != end;
       at.increment(error)) {
    if (const auto governor = read_line(at->path() / "cpufreq/scaling_governor")) governors.insert(*governor);
  }
  if (governors.empty()) return std::nullopt;
  return fmt::format("{}", fmt::join(governors, ","));
}

// "always [madvise] never": the bracketed word is in force.
std::optional<std::string> read_transparent_huge_pages(const fs::path& root) {
  const auto line = read_line(root / "sys/kernel/mm/transparent_hugepage/enabled");
  if (!line) return std::nullopt;
  const std::size_t open = line->find('['), close = line->find(']');
  if (open == std::string::npos || close == std::string::npos || close < open) return std::nullopt;
  return line->substr(open + 1, close - open - 1);
}

// x86 processors tell a guest that it is one. Elsewhere nothing can be said.
std::optional<bool> read_virtualised(const std::optional<std::string>& cpuinfo) {
  const auto flags = cpuinfo ? value_of_key(*cpuinfo, "flags", ':') : std::nullopt;
  if (!flags) return std::nullopt;
  const std::vector<std::string> words = split(*flags, ' ');
  return std::find(words.begin(), words.end(), "hypervisor") != words.end();
}

}  // namespace

std::vector<std::int64_t> allowed_cpus() {
  // A machine with more CPUs than the set has bits refuses the call: ask again with a larger set.
  for (std::size_t bits = 1024; bits <= (std::size_t{1} << 18); bits *= 2) {
    std::vector<cpu_set_t> set(bits / (8 * sizeof(cpu_set_t)));
    const std::size_t bytes = set.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, set.data()) != 0) continue;
    std::vector<std::int64_t> cpus;
    for (std::size_t cpu = 0; cpu < bits; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set.data())) cpus.push_back(static_cast<std::int64_t>(cpu));
    }
    if (!cpus.empty()) return cpus;
  }
  std::vector<std::int64_t> all(std::max(1U, std::thread::hardware_concurrency()));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  return all;
}

std::int64_t core_count() {
  if (const auto cores = count_objects(HWLOC_OBJ_CORE)) return *cores;
  if (const auto cpus = count_objects(HWLOC_OBJ_PU)) return *cpus;
  return std::max(1U, std::thread::hardware_concurrency());
}

std::int64_t count_cores(std::span<const std::int64_t> cpus) {
  std::set<std::int64_t> cores;
  for (const std::int64_t cpu : cpus) {
    const hwloc_obj_t unit = topology() != nullptr
                                 ? hwloc_get_pu_obj_by_os_index(topology(), static_cast<unsigned>(cpu))
                                 : nullptr;
    const hwloc_obj_t core =
        unit != nullptr ? hwloc_get_ancestor_obj_by_type(topology(), HWLOC_OBJ_CORE, unit) : nullptr;
    // A CPU that hwloc does not know counts as a core of its own; negative numbers keep the two apart.
    cores.insert(core != nullptr ? static_cast<std::int64_t>(core->logical_index) : -1 - cpu);
  }
  return static_cast<std::int64_t>(cores.size());
}

std::int64_t available_memory_bytes(const fs::path& root) {
  auto available = meminfo_bytes(root / "proc/meminfo", "MemAvailable");
  if (!available) {
    const long pages = sysconf(_SC_AVPHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    available = pages > 0 && page_bytes > 0 ? std::int64_t{pages} * page_bytes : 0;
  }
  return std::min(*available, cgroup_memory_left(root).value_or(*available));
}

HostFacts read_host_facts(const fs::path& root) {
  HostFacts host;
  const std::optional<std::string> cpuinfo = read_text(root / "proc/cpuinfo");
  host.name = host_name();
  host.boot_id_hash = boot_id_hash(root);
  host.cpu_model = read_cpu_model(cpuinfo);
  host.packages = count_objects(HWLOC_OBJ_PACKAGE);
  host.cores = count_objects(HWLOC_OBJ_CORE);
  host.cpus = count_objects(HWLOC_OBJ_PU);
  host.cpu_quota = cgroup_cpu_quota(root);
  host.allowed_cpus = allowed_cpus();
  host.caches = read_caches();
  host.numa_nodes = read_numa_nodes();
  host.memory_total_bytes = meminfo_bytes(root / "proc/meminfo", "MemTotal");
  host.memory_available_bytes = available_memory_bytes(root);
  struct utsname names {};
  if (uname(&names) == 0) {
    host.architecture = names.machine;
    host.kernel = names.release;
  }
  host.os = value_of_key(read_text(root / "etc/os-release").value_or(""), "PRETTY_NAME", '=');
  host.governor = read_governor(root);
  if (host.cpus && host.cores) host.smt = *host.cpus > *host.cores;
  host.transparent_huge_pages = read_transparent_huge_pages(root);
  host.virtualised = read_virtualised(cpuinfo);
  host.interfaces = read_interfaces(root);
  return host;
}

}  // namespace tpbench
