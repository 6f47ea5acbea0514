#pragma once

#include <memory>

#include "layers/layer.hpp"

namespace tpbench {

/// One region by itself, between its entry and its exit. Weight sets are not chained: all read the same X and
/// begin backward with the same output gradient, so that each is checked by itself.
std::unique_ptr<Layer> make_mlp(const LayerContext& context);
std::unique_ptr<Layer> make_attention(const LayerContext& context);

}  // namespace tpbench
