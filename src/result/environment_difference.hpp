#pragma once

#include <vector>

#include "base/json_fwd.hpp"
#include "result/json_difference.hpp"

namespace tpbench {

/// What differs between two descriptions of machine and launch (environment.json), one entry per value. Lists
/// are walked through; hosts and ranks are matched by their place. The BLAS library's kernels come first.
/// What two launches on one machine never share is left out: times of day, process ids, free memory, the
/// noise probe's single times, variables of the job.
std::vector<JsonDifference> environment_differences(const Json& first, const Json& second);

/// Takes out of `variables` of environment.json what names one job, its steps and ports, and says nothing of
/// how anything was measured.
void erase_job_variables(Json& variables);

}  // namespace tpbench
