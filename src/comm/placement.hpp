#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tpbench {

/// World ranks in the order in which groups are cut from them. packed: host by host, so that a group stays on
/// as few hosts as it can. spread: one rank of each host in turn, so that a group touches as many as it can.
/// `host_of[r]` is the host of world rank r. World rank 0 comes first either way.
std::vector<int> rank_order(std::span<const int> host_of, bool spread);

/// The groups of `degree` ranks that run: the first one only, or as many as there are ranks for.
std::vector<std::vector<int>> cut_groups(std::span<const int> order, int degree, bool all);

/// How many of the ranks each host has, in the order in which the hosts first appear.
std::vector<std::int64_t> ranks_per_host(std::span<const int> host_of);

}  // namespace tpbench
