#pragma once

#include <memory>

#include "layers/layer.hpp"

namespace tpbench {

/// `block` and `model` whose batch goes through in microbatches: over the stages of a pipeline, or on one.
/// The context's shape has microbatches or stages. Collective over the ranks of the pipeline.
std::unique_ptr<Layer> make_piped_block(const LayerContext& context);
std::unique_ptr<Layer> make_piped_model(const LayerContext& context);

}  // namespace tpbench
