#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "advisor/alpha_beta.hpp"
#include "base/enum_names.hpp"
#include "base/json.hpp"
#include "measure/statistics.hpp"

namespace tpbench {

/// Between which ranks.
enum class PathKind { inside_host, between_hosts, all_ranks };

/// What was timed: half of a round trip between two ranks, or an all-reduce of f32 by algorithm `mpi`.
enum class ProbeOperation { ping_pong, all_reduce };

/// Seconds of one message size. A sample is the mean of `calls_per_sample` in a row.
struct ProbePoint {
  std::int64_t bytes = 0;
  std::int64_t calls_per_sample = 1;
  Summary time_s;
};

/// How the pieces of a path were cut.
enum class CutRule {
  eager_limit,  ///< at the eager limit that the MPI library names, and by search on each side of it
  search        ///< by search alone
};

/// One path and what was found on it.
struct ProbedPath {
  PathKind kind = PathKind::inside_host;
  ProbeOperation operation = ProbeOperation::ping_pong;
  std::vector<std::string> hosts;
  std::vector<int> ranks;                         ///< of the world
  Json transport;                                 ///< transport_to_json(); null for more than two hosts
  std::optional<std::int64_t> eager_limit_bytes;  ///< of what carries messages there; empty when unknown
  std::optional<std::string> problem;  ///< with the bytes that arrived, or with the clocks: then no points
  std::optional<double> clock_error_s = {};  ///< of all-reduces between hosts: what may be wrong with a time
  std::vector<ProbePoint> points;            ///< in ascending order of size
  CutRule cut = CutRule::search;
  std::vector<CostPiece> pieces;
};

/// Sets `cut` and `pieces` from the medians of `points`. Only ping-pong is cut at the eager limit: an
/// all-reduce changes its way at sizes of its own.
void fit_path(ProbedPath& path);

/// A path as `paths` of docs/probe.schema.json has it.
Json probed_path_to_json(const ProbedPath& path);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::PathKind, {tpbench::PathKind::inside_host, "inside_host"},
                   {tpbench::PathKind::between_hosts, "between_hosts"},
                   {tpbench::PathKind::all_ranks, "all_ranks"});
TPBENCH_ENUM_NAMES(tpbench::ProbeOperation, {tpbench::ProbeOperation::ping_pong, "ping_pong"},
                   {tpbench::ProbeOperation::all_reduce, "all_reduce"});
TPBENCH_ENUM_NAMES(tpbench::CutRule, {tpbench::CutRule::eager_limit, "eager_limit"},
                   {tpbench::CutRule::search, "search"});
