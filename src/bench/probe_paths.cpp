#include "bench/probe_paths.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tpbench {

const std::string_view kProbePlanRule =
    "inside a host its first two ranks, and with more ranks its first and last and all of them; between two "
    "hosts "
    "the first rank of each; all ranks; of hosts and of pairs of hosts at most as many as allowed, evenly "
    "spaced";

namespace {

std::vector<std::vector<int>> ranks_by_host(std::span<const int> host_of) {
  std::vector<std::vector<int>> ranks;
  for (std::size_t r = 0; r < host_of.size(); ++r) {
    const auto host = static_cast<std::size_t>(host_of[r]);
    if (host >= ranks.size()) ranks.resize(host + 1);
    ranks[host].push_back(static_cast<int>(r));
  }
  return ranks;
}

template <typename T>
std::vector<T> evenly_spaced(const std::vector<T>& all, std::size_t most) {
  if (all.size() <= most) return all;
  std::vector<T> some;
  for (std::size_t i = 0; i < most; ++i) some.push_back(all[i * all.size() / most]);
  return some;
}

void add_inside(int host, const std::vector<int>& ranks, std::vector<ProbePath>& paths) {
  const auto add = [&](ProbeOperation operation, std::vector<int> chosen) {
    paths.push_back({PathKind::inside_host, operation, std::move(chosen), {host}});
  };
  const std::vector<int> first_two = {ranks[0], ranks[1]};
  add(ProbeOperation::ping_pong, first_two);
  add(ProbeOperation::all_reduce, first_two);
  if (ranks.size() < 3) return;
  add(ProbeOperation::ping_pong, {ranks.front(), ranks.back()});
  add(ProbeOperation::all_reduce, ranks);
}

}  // namespace

ProbePlan plan_probe(std::span<const int> host_of, std::size_t most) {
  const std::vector<std::vector<int>> ranks = ranks_by_host(host_of);
  std::vector<int> hosts;
  std::vector<std::pair<int, int>> pairs;
  for (int first = 0; first < static_cast<int>(ranks.size()); ++first) {
    if (ranks[static_cast<std::size_t>(first)].size() > 1) hosts.push_back(first);
    for (int second = first + 1; second < static_cast<int>(ranks.size()); ++second)
      pairs.emplace_back(first, second);
  }

  ProbePlan plan;
  plan.hosts_possible = hosts.size();
  plan.pairs_possible = pairs.size();
  hosts = evenly_spaced(hosts, most);
  pairs = evenly_spaced(pairs, most);
  plan.hosts_probed = hosts.size();
  plan.pairs_probed = pairs.size();
  for (const int host : hosts) add_inside(host, ranks[static_cast<std::size_t>(host)], plan.paths);
  for (const auto& [first, second] : pairs) {
    const std::vector<int> two = {ranks[static_cast<std::size_t>(first)].front(),
                                  ranks[static_cast<std::size_t>(second)].front()};
    for (const ProbeOperation operation : {ProbeOperation::ping_pong, ProbeOperation::all_reduce})
      plan.paths.push_back({PathKind::between_hosts, operation, two, {first, second}});
  }
  if (ranks.size() > 1 && host_of.size() > 2) {
    std::vector<int> everyone(host_of.size()), everywhere(ranks.size());
    std::iota(everyone.begin(), everyone.end(), 0);
    std::iota(everywhere.begin(), everywhere.end(), 0);
    plan.paths.push_back({PathKind::all_ranks, ProbeOperation::all_reduce, everyone, everywhere});
  }
  return plan;
}

}  // namespace tpbench
