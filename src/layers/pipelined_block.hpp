#pragma once

#include <memory>

#include "layers/layer.hpp"

namespace tpbench {

/// `block` whose batch goes through in microbatches: over the stages of a pipeline, or on one. The context's
/// shape has microbatches or stages. Collective over the ranks of the pipeline.
std::unique_ptr<Layer> make_pipelined_block(const LayerContext& context);

}  // namespace tpbench
