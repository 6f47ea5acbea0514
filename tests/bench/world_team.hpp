#pragma once

#include <numeric>
#include <vector>

#include "bench/team.hpp"

namespace tpbench {

/// All ranks of the launch as one group.
inline Team whole_world(const Session& session) {
  std::vector<int> ranks(static_cast<std::size_t>(session.world().size()));
  std::iota(ranks.begin(), ranks.end(), 0);
  Team team;
  team.groups = {ranks};
  team.group = session.make_group(ranks, 1);
  team.active = session.make_group(ranks, 2);
  return team;
}

}  // namespace tpbench
