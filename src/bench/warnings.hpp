#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "bench/case_runner.hpp"
#include "bench/reference_look.hpp"
#include "environment/launch_facts.hpp"
#include "result/record.hpp"

namespace tpbench {

/// All that a warning may be drawn from.
struct WarningInputs {
  const LaunchFacts& facts;
  const Case& point;  ///< threads_per_rank resolved
  const Team& team;
  const CaseOutcome& outcome;
  const MeasureSettings& measure;
  const MachineHistory& history;    ///< of the cases before this one
  const Record& record;             ///< times, memory and verification filled in
  std::vector<int> device_of = {};  ///< the device of each world rank; empty where tensors are in host memory
};

/// World ranks that work on the case, by the machine (running kernel) that they share.
std::map<std::string, std::vector<std::size_t>> active_by_machine(const WarningInputs& inputs);

/// What a reader of this record must know before believing it, each with the remedy. One row per warning in
/// warnings.cpp; docs/methodology.md lists the codes.
std::vector<Warning> find_warnings(const WarningInputs& inputs);

/// The codes of all of them.
std::vector<std::string> warning_codes();

}  // namespace tpbench
