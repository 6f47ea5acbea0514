#include "bench/idle_ranks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bench/team.hpp"
#include "bench/why_skipped.hpp"

namespace tpbench {

std::optional<std::string> why_ranks_idle(std::span<const Case> cases, std::span<const int> host_of,
                                          const DevicesByBackend& devices) {
  std::set<int> working;
  std::int64_t largest_degree = 0;
  bool has_stages = false;
  for (const Case& point : cases) {
    if (working.size() == host_of.size()) return std::nullopt;
    if (why_skipped(point, {host_of, devices_of(devices, point.backend)})) continue;
    for (const std::vector<int>& group : groups_of(point, host_of))
      working.insert(group.begin(), group.end());
    largest_degree = std::max(largest_degree, point.layout.ranks());
    has_stages = has_stages || point.layout.pp > 1;
  }
  if (working.empty() || working.size() == host_of.size()) return std::nullopt;
  const std::size_t idle = host_of.size() - working.size();
  return fmt::format(
      "{} of {} ranks {} idle in every case: the largest tp_degree{} that runs is {}; start fewer ranks, or "
      "use "
      "all with a larger --set tp_degree=... or --set groups=all",
      idle, host_of.size(), idle == 1 ? "is" : "are", has_stages ? " x pp_degree" : "", largest_degree);
}

}  // namespace tpbench
