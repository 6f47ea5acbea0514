#pragma once

#include "bench/case_runner.hpp"
#include "result/record.hpp"

namespace tpbench {

/// Adds what the stages of an ok case did, with its times in place already; nothing for one of one stage.
/// With several epochs times are the mean over them.
void add_pipeline(Record& record, const CaseOutcome& outcome);

}  // namespace tpbench
