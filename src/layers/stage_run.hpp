#pragma once

#include <cstdint>

namespace tpbench {

/// Which stages of a pipeline a rank holds, and the microbatch that it works on. The rank numbers its weight
/// sets from 0, stage after stage; places are those of workload/pipeline_plan.hpp.
struct StageRun {
  std::int64_t ranks = 1;   ///< of the pipeline
  std::int64_t rank = 0;    ///< this one among them
  std::int64_t layers = 1;  ///< weight sets of one stage

  std::int64_t microbatch = 0;
  std::int64_t activations = 0, inputs = 0, gradients = 0;
  bool adds = false;  ///< gradients of weights are added to those of the microbatches before

  /// The weight set of the whole that this rank's weight set `layer` is.
  [[nodiscard]] std::int64_t whole_layer(std::int64_t layer) const {
    return (layer / layers * ranks + rank) * layers + layer % layers;
  }
};

}  // namespace tpbench
