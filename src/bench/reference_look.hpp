#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/team.hpp"
#include "compute/reference_work.hpp"
#include "result/reference_times.hpp"
#include "sweep/case.hpp"

namespace tpbench {

/// Runs the reference work on all active ranks at once, as the case will run. Collective over them, the same
/// result on all. Takes about 13 ms. Never inside a timed region.
ReferenceTimes look_at_machine(ReferenceWork& work, const Team& team);

/// Who looked: more ranks share caches, memory and clocks, and spread over hosts fewer of them share one.
struct LookingRanks {
  // NOLINTNEXTLINE(google-explicit-constructor): packed ranks are a number
  LookingRanks(std::size_t active, Placement placed = Placement::packed) : ranks(active), placement(placed) {}
  std::size_t ranks;
  Placement placement;
  auto operator<=>(const LookingRanks&) const = default;
};

/// What the looks of one launch have found so far, by who looked.
class MachineHistory {
 public:
  void add(const LookingRanks& ranks, const ReferenceResult& look);

  /// Median of the product's time over the cases so far; empty before the fifth.
  [[nodiscard]] std::optional<double> usual_gemm_s(const LookingRanks& ranks) const;
  /// Shortest time of the copy so far; empty before the fifth.
  [[nodiscard]] std::optional<double> best_copy_s(const LookingRanks& ranks) const;
  /// Median of the core latency so far; empty before the fifth that has one.
  [[nodiscard]] std::optional<double> usual_core_latency_s(const LookingRanks& ranks) const;

 private:
  std::map<LookingRanks, std::vector<ReferenceTimes>> looks_;
};

/// What the looks beside one case say against its times, in words with the remedy; empty when nothing does.
/// `ranks`: the active ones of the case.
std::optional<std::string> drift(const ReferenceResult& look, const MachineHistory& earlier,
                                 const LookingRanks& ranks);
std::optional<std::string> moved_cores(const ReferenceResult& look, const MachineHistory& earlier,
                                       const LookingRanks& ranks);
std::optional<std::string> neighbour(const ReferenceResult& look, const MachineHistory& earlier,
                                     const LookingRanks& ranks);

}  // namespace tpbench
