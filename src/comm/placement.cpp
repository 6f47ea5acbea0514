#include "comm/placement.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

namespace tpbench {

std::vector<int> rank_order(std::span<const int> host_of, bool spread) {
  std::vector<int> local(host_of.size());  // how many ranks of the same host come before
  std::map<int, int> seen;
  for (std::size_t r = 0; r < host_of.size(); ++r) local[r] = seen[host_of[r]]++;

  std::vector<int> order(host_of.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int left, int right) {
    const auto a = static_cast<std::size_t>(left), b = static_cast<std::size_t>(right);
    return spread ? std::tuple(local[a], host_of[a]) < std::tuple(local[b], host_of[b])
                  : std::tuple(host_of[a], local[a]) < std::tuple(host_of[b], local[b]);
  });
  return order;
}

std::vector<std::vector<int>> cut_groups(std::span<const int> order, int degree, bool all) {
  const auto size = static_cast<std::size_t>(degree);
  std::vector<std::vector<int>> groups;
  for (std::size_t first = 0; first + size <= order.size(); first += size) {
    groups.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(first),
                        order.begin() + static_cast<std::ptrdiff_t>(first + size));
    if (!all) break;
  }
  return groups;
}

std::vector<std::int64_t> ranks_per_host(std::span<const int> host_of) {
  std::vector<std::int64_t> ranks;
  std::map<int, std::size_t> seen;
  for (const int host : host_of) {
    const std::size_t at = seen.try_emplace(host, seen.size()).first->second;
    if (at == ranks.size()) ranks.push_back(0);
    ++ranks[at];
  }
  return ranks;
}

}  // namespace tpbench
