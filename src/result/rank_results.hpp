#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tpbench {

/// What one rank did while a case was sampled, in its last epoch. Times are means over the samples.
struct RankResult {
  std::int64_t rank = 0;  ///< of the launch
  std::string host = {};
  std::vector<std::int64_t> cpus = {};
  double compute_s = 0;
  std::optional<double> wait_s = {};  ///< at the collectives for the last rank to come
  /// How often it was the last to come, by the name of the collective; empty where clocks cannot tell.
  std::map<std::string, std::int64_t> last_arrivals = {};
  std::int64_t switches = 0;               ///< it gave its core away: sleeping, waiting for a lock
  std::int64_t preemptions = 0;            ///< its core was taken from it
  std::optional<double> steal_s = {};      ///< the hypervisor took its CPUs, summed over those it may run on
  std::optional<double> throttled_s = {};  ///< quotas stopped processes of its host

  /// How often it was the last, over all collectives.
  [[nodiscard]] std::int64_t all_last_arrivals() const;
};

/// What a quantity is over all ranks.
struct RankSpread {
  std::string quantity;
  double min = 0, p25 = 0, median = 0, p75 = 0, max = 0;
};

/// The ranks of all groups: each of up to kMostRanks, else those that computed longest and shortest.
struct RankResults {
  std::int64_t count = 0;
  std::int64_t samples = 0;  ///< that the counts are of
  std::vector<RankResult> listed;
  std::vector<RankSpread> spread;
};

inline constexpr std::size_t kMostRanks = 64;

RankResults bounded_ranks(std::vector<RankResult> all, std::int64_t samples);

}  // namespace tpbench
