#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/enum_names.hpp"
#include "base/json_fwd.hpp"
#include "report/comparison.hpp"

namespace tpbench {

/// How a gate ends.
enum class GateOutcome {
  pass,         ///< every case was judged, and none is slower than allowed
  fail,         ///< a step is slower than allowed, or a case that was ok failed
  inconclusive  ///< neither: something could not be judged
};

/// What `compare --fail-above` says of all comparisons (docs/compare.md, "The gate").
struct Gate {
  double limit = 0;  ///< 0.05: steps may be 5 % slower
  GateOutcome outcome = GateOutcome::pass;
  std::vector<std::string> failures = {};      ///< what speaks for fail, a sentence each
  std::vector<std::string> open = {};          ///< what could not be judged, likewise
  std::size_t cases = 0;                       ///< that were compared
  std::optional<GateOutcome> counted_as = {};  ///< what an inconclusive gate is to count as

  /// "FAIL: 1 of 8 cases is slower by more than 5 %", in one line.
  [[nodiscard]] std::string line() const;
};

Gate judge_gate(std::span<const Comparison> comparisons, double limit);

Json gate_to_json(const Gate& gate);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::GateOutcome, {tpbench::GateOutcome::pass, "pass"},
                   {tpbench::GateOutcome::fail, "fail"},
                   {tpbench::GateOutcome::inconclusive, "inconclusive"});
