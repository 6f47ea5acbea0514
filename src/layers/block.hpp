#pragma once

#include <memory>

#include "layers/layer.hpp"

namespace tpbench {

/// Pre-norm transformer layers, each R = X + attention(norm(X)), Y = R + mlp(norm(R)). They are chained: the
/// Y of one weight set is the X of the next.
std::unique_ptr<Layer> make_block(const LayerContext& context);

}  // namespace tpbench
