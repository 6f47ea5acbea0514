#pragma once

#include <memory>

#include "layers/layer.hpp"

namespace tpbench {

std::unique_ptr<Layer> make_mlp(const LayerContext& context);

}  // namespace tpbench
