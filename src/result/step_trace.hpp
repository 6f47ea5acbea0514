#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/direction.hpp"
#include "base/json_fwd.hpp"

namespace tpbench {

/// One event of a rank: compute, or a collective from its own start to its own end, waiting included.
struct TraceEvent {
  std::string kind;  ///< "compute", "all_reduce", ...
  Direction direction = Direction::forward;
  std::int64_t bytes = 0;  ///< of a collective: the whole array
  std::int64_t group = 0;  ///< 0: among all ranks that share the layer; n: among n neighbours of them
  std::int64_t stage = 0;
  std::int64_t microbatch = 0;
  double start_s = 0, end_s = 0;  ///< since the first rank began
};

struct TraceRank {
  std::int64_t rank = 0;   ///< of the launch
  std::int64_t group = 0;  ///< which of the groups that ran at the same time
  std::string host;
  std::vector<TraceEvent> events;
  bool is_whole = true;  ///< false: only the first events are here
};

/// One step of a case as a timeline of its ranks: `tpbench.trace/1`, the file traces/ID.json.
struct StepTrace {
  std::string id;
  std::int64_t sample = 0;  ///< which sample of the last epoch, from 0: the one nearest to the median
  double step_s = 0;
  bool is_aligned = true;    ///< false: each rank's times are since its own start
  double clock_error_s = 0;  ///< of a difference between ranks of two hosts
  std::int64_t ranks_left_out = 0;
  std::vector<TraceRank> ranks;
};

inline constexpr std::size_t kMostTracedRanks = 64, kMostTracedEvents = 4096;

Json trace_to_json(const StepTrace& trace);
/// Throws std::runtime_error naming the key when the document is none.
StepTrace trace_from_json(const Json& document);

}  // namespace tpbench
