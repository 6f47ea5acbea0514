#pragma once

#include <span>
#include <string>

#include "result/step_trace.hpp"

namespace tpbench {

/// Timelines as Chrome trace JSON (Google, Trace Event Format), which Perfetto and chrome://tracing open. A
/// process for each host and case, two threads for each rank: compute, and collectives. Times in
/// microseconds. An arrow runs from the start of the rank that came last to a collective to the end of each
/// other rank's part in it.
std::string chrome_trace(std::span<const StepTrace> traces);

}  // namespace tpbench
