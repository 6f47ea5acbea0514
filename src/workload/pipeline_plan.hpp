#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "workload/shape.hpp"

namespace tpbench {

/// A step of a rank, and the places in which it finds and leaves what outlives it. Places are numbered from 0
/// and used again; -1: the step needs none.
struct PlannedStep {
  PipelineStep step;
  std::int64_t activations =
      -1;                       ///< kept from forward to the gradient of the input; forward only: the output
  std::int64_t inputs = -1;     ///< of products with weights: kept until the gradient of the weights
  std::int64_t gradients = -1;  ///< of their outputs: from the gradient of the input to that of the weights
  std::int64_t received = -1;   ///< what the stage before has sent
  std::int64_t gradient = -1;   ///< the gradient that goes through the stage: received, worked on, sent
};

/// What one rank of a pipeline does in a step, and how many places of each kind it takes.
struct RankPlan {
  std::vector<PlannedStep> steps;
  std::int64_t activations = 0, inputs = 0, gradients = 0, received = 0, gradient = 0;
  /// Steps that begin with a message from another rank, by direction: which of `steps`, in order. The place
  /// of a message is free when the message before it is waited for: it is posted then.
  std::vector<std::size_t> forward_receives, backward_receives;
};

/// Plans `steps_of_rank(shape, rank)`. On one rank nothing is sent.
RankPlan plan_rank(const PipelineShape& shape, std::int64_t rank);

/// Of how many weight sets a rank with that plan keeps what backward needs; in a forward pass, how many
/// outputs.
inline KeptSets kept_sets_of(const Shape& shape, const RankPlan& plan) {
  const std::int64_t layers = shape.trains() ? shape.stage_layers() : 1;
  const PipelineShape pipeline = shape.pipeline();
  return {plan.activations * layers, shape.trains() ? plan.inputs * layers : 1, plan.gradients * layers,
          shape.trains() ? most_in_flight_on_stage(pipeline, pipeline.stages() - 1) : 1};
}

/// Messages that all ranks together send in a step, for each rank that shares a layer: 2 m (p v - 1), half of
/// it forward only, none on one rank (arXiv 2104.04473, section 2.2).
std::int64_t messages_per_step(const PipelineShape& shape);
/// The same with those of a gradient that two stages have in parts, and the bytes of all.
struct BoundaryTraffic {
  std::int64_t messages = 0, bytes = 0;
};
BoundaryTraffic boundary_traffic(const Shape& shape);
/// Those that come to `rank`, and those that leave it, in a step.
std::int64_t messages_to(const PipelineShape& shape, std::int64_t rank);
std::int64_t messages_from(const PipelineShape& shape, std::int64_t rank);

}  // namespace tpbench
