#pragma once

#include <memory>

#include "layers/layer.hpp"

namespace tpbench {

/// A whole transformer: embedding, num_layers blocks, a norm, output head. The first weight set begins with
/// the embedding, and the last ends with norm and head.
std::unique_ptr<Layer> make_model(const LayerContext& context);

}  // namespace tpbench
