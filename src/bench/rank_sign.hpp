#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "measure/heartbeat.hpp"

namespace tpbench {

/// What is known of one rank of this host at one moment.
struct RankSign {
  std::int64_t world_rank = 0;
  std::int64_t process_id = 0;
  char state = '?';  ///< letter of /proc/PID/stat: R, S, D, T (stopped), Z; 'X': there is no such process
  Phase phase = Phase::idle;
  Activity activity = Activity::none;
  std::uint64_t step = 0;
  std::int64_t stage = -1;  ///< of a pipeline; -1: it has none
  int leaving = 0;          ///< Heartbeat::leaving: its death is no news
};

bool is_gone(const RankSign& sign);
bool is_stopped(const RankSign& sign);
/// Gone, and nobody said that it would go.
bool has_died(const RankSign& sign);

/// State letter of a process, 'X' when there is none.
char process_state(std::int64_t process_id);

/// Whom to blame, in words: the rank that is dead, stopped or still computes, and where the others wait.
std::string describe_stall(std::span<const RankSign> signs, const std::string& host);

/// "; waiting: rank 1 in all_reduce of sampling step 3, ..."; empty when none waits.
std::string describe_waiting(std::span<const RankSign> signs);

}  // namespace tpbench
