#include "environment/core_findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "environment/launch.hpp"

namespace tpbench {
namespace {

using Message = std::optional<std::string>;

std::int64_t count(const MachineLoad& machine) { return static_cast<std::int64_t>(machine.ranks.size()); }

Message oversubscribed(const MachineLoad& machine) {
  const std::int64_t ranks = count(machine);
  if (machine.cores == 0 || ranks <= machine.cores) return std::nullopt;
  return fmt::format(
      "{} ranks on {} cores of {}: times are not those of {} devices; use as many ranks as cores, or more "
      "hosts",
      ranks, machine.cores, machine.hosts, ranks);
}

// Each CPU is counted as a core: hardware threads of one core are rarely bound apart, and then on purpose.
Message shared_core(const MachineLoad& machine) {
  std::set<std::int64_t> cpus;
  for (const MachineLoad::Rank& rank : machine.ranks) cpus.insert(rank.cpus.begin(), rank.cpus.end());
  const auto available = static_cast<std::int64_t>(cpus.size());
  if (available == 0 || available >= count(machine) || oversubscribed(machine)) return std::nullopt;
  return fmt::format("{} ranks are bound to {} CPU(s) of {}: start them with {} or {}", count(machine),
                     available, machine.hosts, unbound_to_type(), core_each_to_type());
}

Message thread_mismatch(const MachineLoad& machine) {
  for (const MachineLoad::Rank& rank : machine.ranks) {
    if (rank.bound_cores > 0 && rank.threads > rank.bound_cores) {
      return fmt::format(
          "{} BLAS threads share {} core(s) on rank {}: lower threads_per_rank or bind wider ({})",
          rank.threads, rank.bound_cores, rank.world_rank, unbound_to_type());
    }
    const std::int64_t share = std::max<std::int64_t>(1, machine.cores / count(machine));
    if (machine.cores > 0 && rank.threads > share) {
      return fmt::format(
          "{} BLAS threads per rank and {} core(s) for each of the {} ranks of {}: lower threads_per_rank",
          rank.threads, share, count(machine), machine.hosts);
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Finding> core_findings(const MachineLoad& machine) {
  std::vector<Finding> findings;
  const auto add = [&](const char* code, const Message& message) {
    if (message) findings.push_back({code, *message});
  };
  add("oversubscribed", oversubscribed(machine));
  add("shared_core", shared_core(machine));
  add("thread_mismatch", thread_mismatch(machine));
  return findings;
}

}  // namespace tpbench
