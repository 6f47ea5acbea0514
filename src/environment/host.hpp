#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/host_identity.hpp"
#include "base/json_fwd.hpp"

// One host, described by hwloc, /proc and /sys. A fact that cannot be had is empty (null in JSON), never an
// error: containers hide much of this. `root` is where /proc, /sys and /etc are found; only tests give
// another one.
namespace tpbench {

struct CacheFacts {
  std::int64_t level = 0;
  std::string type;  ///< "unified", "data", "instruction"
  std::int64_t bytes = 0;
  std::int64_t count = 0;           ///< caches of this kind on the host
  std::int64_t shared_by_cpus = 0;  ///< CPUs (hardware threads) behind one of them
};

struct NumaFacts {
  std::int64_t index = 0;
  std::optional<std::int64_t> memory_bytes;
  std::vector<std::int64_t> cpus;
};

/// One way in and out of the host. An InfiniBand port stands beside the network interface that IP runs over.
struct InterfaceFacts {
  std::string name;                  ///< "eth0", "mlx5_0:1"
  std::string kind;                  ///< "ethernet", "infiniband", "loopback", "other"
  std::optional<std::string> state;  ///< the kernel's word, lower case: "up", "down", "unknown", "active"
  std::optional<double> speed_mbit_per_s;
  std::optional<std::int64_t> mtu_bytes;
  bool loopback = false;
};

struct HostFacts {
  std::string name;
  std::optional<std::string>
      boot_id_hash;  ///< equal on "hosts" that are one running kernel (containers, namespaces)
  std::optional<std::string> cpu_model;
  std::optional<std::int64_t> packages, cores, cpus;  ///< of the node, less what its cgroup cpuset withholds
  std::optional<double> cpu_quota;         ///< cores' worth of time that the cgroup grants; empty: no limit
  std::vector<std::int64_t> allowed_cpus;  ///< of this process: its binding
  std::vector<CacheFacts> caches;
  std::vector<NumaFacts> numa_nodes;
  std::optional<std::int64_t> memory_total_bytes, memory_available_bytes;
  std::optional<std::string> architecture, kernel, os;
  std::optional<std::string> governor;                ///< of the CPUs; several are joined by commas
  std::optional<bool> smt;                            ///< cores run more than one hardware thread
  std::optional<std::string> transparent_huge_pages;  ///< "always", "madvise", "never"
  std::optional<bool> virtualised;
  std::vector<InterfaceFacts> interfaces;
};

HostFacts read_host_facts(const std::filesystem::path& root = "/");

/// An element of `hosts` in environment.json (docs/environment.schema.json).
Json host_to_json(const HostFacts& host);

/// CPUs this process may run on, ascending. Never empty.
std::vector<std::int64_t> allowed_cpus();

/// Physical cores of the node that its cgroup cpuset allows, whatever this process is bound to. At least 1.
std::int64_t core_count();

/// Physical cores behind `cpus`: two hardware threads of one core count once.
std::int64_t count_cores(std::span<const std::int64_t> cpus);

/// Bytes that can still be allocated on this host: the smaller of the kernel's MemAvailable and what the
/// memory cgroup (v1 or v2, and those above it) leaves. Cached files that the kernel would drop count as
/// available.
std::int64_t available_memory_bytes(const std::filesystem::path& root = "/");

}  // namespace tpbench
