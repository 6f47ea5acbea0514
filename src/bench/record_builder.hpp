#pragma once

#include "bench/case_runner.hpp"
#include "environment/launch_facts.hpp"
#include "result/record.hpp"

namespace tpbench {

/// What a record can say before its case runs: id, shape, predictions. `point` has threads_per_rank resolved,
/// `id` is that of the case as the sweep gives it.
/// `model`: that of the case, nullptr without one.
Record start_record(const std::string& id, const Case& point, const Model* model);

/// Marks a case that is not run. What earlier epochs of it have measured stays as it is, and a warning says
/// what is missing.
void skip_record(Record& record, ReasonCode code, const std::string& reason);

/// Marks a case that could not be ended in order; what an earlier epoch measured goes.
void fail_record(Record& record, ReasonCode code, const std::string& reason);

/// Where the team's first group runs.
RankInfo rank_info(const Team& team, const LaunchFacts& facts);

/// Adds what an execution brought. Called once per epoch: samples of later epochs join those of earlier ones,
/// and an epoch that fails makes the case a failed one.
void add_outcome(Record& record, const CaseOutcome& outcome, const Team& team, const LaunchFacts& facts);

}  // namespace tpbench
