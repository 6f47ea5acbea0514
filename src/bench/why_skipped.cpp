#include "bench/why_skipped.hpp"

#include <fmt/format.h>

#include <vector>

#include "bench/team.hpp"
#include "comm/communicator.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Asks the case's algorithm about each group that would run.
std::optional<Skip> why_not_placed(const Case& point, std::span<const int> host_of) {
  const AlgorithmEntry* algorithm = find_algorithm(point.algorithm.value_or(""));
  if (algorithm == nullptr) return std::nullopt;  // a workload without collectives
  for (const std::vector<int>& group : groups_of(point, host_of)) {
    std::vector<int> hosts;
    for (const int rank : group) hosts.push_back(host_of[static_cast<std::size_t>(rank)]);
    if (const auto reason = algorithm->why_not(hosts)) return Skip{ReasonCode::placement, *reason};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Skip> why_skipped(const Case& point, std::span<const int> host_of) {
  const auto world = static_cast<std::int64_t>(host_of.size());
  const Workload& workload = point.workload_row();
  if (const auto reason = why_impossible(workload, point.shape())) {
    return Skip{ReasonCode::combination, *reason};
  }
  if (const auto reason = why_not_divisible(workload, point.shape())) {
    return Skip{ReasonCode::divisibility, *reason};
  }
  if (point.tp_degree > world) {
    return Skip{ReasonCode::ranks,
                fmt::format("tp_degree {} needs {} ranks and this launch has {}; start it with mpirun -n {}",
                            point.tp_degree, point.tp_degree, world, point.tp_degree)};
  }
  return why_not_placed(point, host_of);
}

}  // namespace tpbench
