#include "bench/team.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "comm/placement.hpp"

namespace tpbench {

void Team::settle(const std::optional<std::string>& problem) const {
  std::optional<std::string> mine;
  if (problem) mine = fmt::format("rank {}: {}", active->rank(), *problem);
  if (const auto agreed = active->agree(mine)) throw AgreedError(*agreed);
}

void Team::share_a_clock(const std::string& domain) {
  clock = std::make_shared<CommonClock>(*active, domain);
  start = std::make_shared<StepStart>(*active, *clock);
}

void Team::share_layers(const Layout& layout) {
  shards = *group;
  if (layout.pp == 1) return;
  const auto tp = static_cast<int>(layout.tp);
  shards = group->split(group->rank() / tp);
  stages = group->split(group->rank() % tp);
}

namespace {

// Of groups that were cut host by host: the ranks of each layer, which come first in a group, become those
// that were furthest apart.
std::vector<int> with_stages_inside(const std::vector<int>& group, const Layout& layout) {
  std::vector<int> turned(group.size());
  const auto tp = static_cast<std::size_t>(layout.tp), pp = static_cast<std::size_t>(layout.pp);
  for (std::size_t shard = 0; shard < tp; ++shard) {
    for (std::size_t stage = 0; stage < pp; ++stage) turned[stage * tp + shard] = group[shard * pp + stage];
  }
  return turned;
}

}  // namespace

std::vector<std::vector<int>> shards_of(const std::vector<int>& group, const Layout& layout) {
  return cut_groups(group, static_cast<int>(layout.tp), true);
}

std::vector<std::vector<int>> groups_of(const Case& point, std::span<const int> host_of) {
  const std::vector<int> order = rank_order(host_of, point.placement == Placement::spread);
  std::vector<std::vector<int>> groups =
      cut_groups(order, static_cast<int>(point.layout.ranks()), point.groups == Groups::all);
  if (point.placement == Placement::pp_inside) {
    for (std::vector<int>& group : groups) group = with_stages_inside(group, point.layout);
  }
  return groups;
}

std::size_t active_ranks(const Team& team) {
  std::size_t ranks = 0;
  for (const std::vector<int>& group : team.groups) ranks += group.size();
  return ranks;
}

Team whole_world(const Session& session) {
  std::vector<int> ranks(static_cast<std::size_t>(session.world().size()));
  std::iota(ranks.begin(), ranks.end(), 0);
  Team team;
  team.groups = {ranks};
  team.active = session.make_group(ranks, 1);
  team.group = session.make_group(ranks, 2);
  team.share_layers({.tp = static_cast<std::int64_t>(ranks.size())});
  team.share_a_clock();
  return team;
}

const Team& TeamCache::team_for(const Case& point) {
  std::unique_ptr<Team>& slot = teams_[{point.layout, point.placement, point.groups}];
  if (slot) return *slot;

  slot = std::make_unique<Team>();
  slot->groups = groups_of(point, session_.host_of());
  std::vector<int> active;
  for (const std::vector<int>& group : slot->groups) active.insert(active.end(), group.begin(), group.end());
  for (const std::vector<int>& group : slot->groups) {
    if (std::find(group.begin(), group.end(), session_.world().rank()) == group.end()) continue;
    slot->active = session_.make_group(active, 1);
    slot->group = session_.make_group(group, 2);
    slot->share_layers(point.layout);
    slot->share_a_clock();
    slot->cores = std::make_shared<CoreLatency>(*slot->active);
  }
  return *slot;
}

}  // namespace tpbench
