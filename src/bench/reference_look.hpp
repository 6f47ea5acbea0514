#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/team.hpp"
#include "compute/reference_work.hpp"
#include "result/reference_times.hpp"

namespace tpbench {

/// Runs the reference work on all active ranks at once, as the case will run. Collective over them, the same
/// result on all. Takes about 13 ms. Never inside a timed region.
ReferenceTimes look_at_machine(ReferenceWork& work, const Team& team);

/// What the looks of one launch have found so far, by the number of ranks that looked at once: more ranks
/// share caches, memory and clocks.
class MachineHistory {
 public:
  void add(std::size_t ranks, const ReferenceResult& look);

  /// Median of the product's time over the cases so far; empty before the fifth.
  [[nodiscard]] std::optional<double> usual_gemm_s(std::size_t ranks) const;
  /// Shortest time of the copy so far; empty before the fifth.
  [[nodiscard]] std::optional<double> best_copy_s(std::size_t ranks) const;
  /// Median of the core latency so far; empty before the fifth that has one.
  [[nodiscard]] std::optional<double> usual_core_latency_s(std::size_t ranks) const;

 private:
  std::map<std::size_t, std::vector<ReferenceTimes>> looks_;
};

/// What the looks beside one case say against its times, in words with the remedy; empty when nothing does.
/// `ranks`: the active ones.
std::optional<std::string> drift(const ReferenceResult& look, const MachineHistory& earlier,
                                 std::size_t ranks);
std::optional<std::string> moved_cores(const ReferenceResult& look, const MachineHistory& earlier,
                                       std::size_t ranks);
std::optional<std::string> neighbour(const ReferenceResult& look, const MachineHistory& earlier,
                                     std::size_t ranks);

}  // namespace tpbench
