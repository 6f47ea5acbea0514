#pragma once

#include <vector>

#include "bench/samples.hpp"

namespace tpbench {

/// `reduce_steps` for a team whose ranks hold stages of a pipeline, and have lists of events that differ
/// between stages. Ranks that share layers have the same list.
void reduce_pipeline_steps(const TracedSteps& traced, const Team& team, Samples& samples);

/// Several groups, as data-parallel replicas: a step is as long as that of the slowest group, and its parts
/// [steps, width] become that group's, so that they add up. Collective over the active ranks.
void take_slowest_group(const Team& team, std::vector<double>& step_s, std::vector<double>& part_s);

}  // namespace tpbench
