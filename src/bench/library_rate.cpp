#include "bench/library_rate.hpp"

#include <vector>

#include "compute/products.hpp"

namespace tpbench {

std::optional<LibraryRate> slowest_library_rate(const Case& point, const Team& team) {
  if (!point.library || find_library(*point.library)->timed_at_start) return std::nullopt;
  LibraryRate worst;
  team.together([&] { worst.rate = measure_library_rate(*point.library, point.dtype); });
  const Control& ranks = *team.active;
  const double least = ranks.min(worst.rate.share());
  // Of ranks that are equally slow, the first.
  const std::int64_t nobody = ranks.size();
  const std::int64_t first = ranks.min(worst.rate.share() == least ? std::int64_t{ranks.rank()} : nobody);
  const bool speaks = first == ranks.rank();
  worst.rate.gemm_gflops = ranks.max(speaks ? worst.rate.gemm_gflops : 0.0);
  worst.rate.loop_gflops = ranks.max(speaks ? worst.rate.loop_gflops : 0.0);
  std::int64_t active = first;  // in the order of the active ranks
  for (const std::vector<int>& group : team.groups) {
    const auto size = static_cast<std::int64_t>(group.size());
    if (active >= 0 && active < size) worst.world_rank = group[static_cast<std::size_t>(active)];
    active -= size;
  }
  return worst;
}

}  // namespace tpbench
