#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "advisor/probed_path.hpp"

namespace tpbench {

/// One thing to time between some ranks of the world.
struct ProbePath {
  PathKind kind = PathKind::inside_host;
  ProbeOperation operation = ProbeOperation::ping_pong;
  std::vector<int> ranks;
  std::vector<int> hosts;  ///< of those ranks, each once
};

/// What is timed, and how much of what there is.
struct ProbePlan {
  std::vector<ProbePath> paths;
  std::size_t hosts_possible = 0;  ///< with two ranks or more
  std::size_t hosts_probed = 0;
  std::size_t pairs_possible = 0;  ///< of hosts
  std::size_t pairs_probed = 0;
};

/// How the paths of a plan are chosen, for people.
extern const std::string_view kProbePlanRule;

/// Chooses paths; host_of[r] is the host of world rank r. Without chance, so that two launches of one shape
/// time the same:
/// - inside a host its first two ranks (both operations); with more ranks also the first and the last, which
///   are likely further apart (ping-pong), and all of them (all-reduce);
/// - between two hosts their first ranks (both operations);
/// - all ranks, where there are several hosts and more than two ranks (all-reduce).
/// Of hosts, and of pairs in the order (0,1), (0,2), ..., (1,2), ..., at most `most` each, evenly spaced.
ProbePlan plan_probe(std::span<const int> host_of, std::size_t most);

}  // namespace tpbench
