#pragma once

#include "advisor/plan_model.hpp"

namespace tpbench {

/// Fills in the times of a split that is possible: placement, hosts and memory are known.
void time_split(SplitPlan& plan, const PlanQuestion& question, ModelTimer& timer);

}  // namespace tpbench
