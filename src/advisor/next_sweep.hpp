#pragma once

#include "advisor/plan_model.hpp"
#include "base/json.hpp"

namespace tpbench {

/// At most this many of a plan's contenders are worth a launch.
inline constexpr std::size_t kMostMeasured = 6;

/// A sweep file that tells the contenders of a plan apart: of each the layers of one stage set (a layer for
/// each stage), on its ranks, with its microbatches, as far as they are needed to see the pipeline full.
/// Where a backend runs no stages it has the layers alone. Embedding and head are not in it: they are the
/// same work for all splits of one TP degree. `model` is the name or path that the sweep takes the shape
/// from. Throws AdvisorError when the plan has no contenders.
Json next_sweep(const ModelPlan& plan, const std::string& model);

/// Ranks that it needs.
std::int64_t ranks_to_measure(const ModelPlan& plan);

}  // namespace tpbench
