#pragma once

#include <memory>

#include "layers/layer.hpp"

namespace tpbench {

/// The collectives alone, on arrays of [T, h].
std::unique_ptr<Layer> make_all_reduce(const LayerContext& context);
std::unique_ptr<Layer> make_all_gather(const LayerContext& context);
std::unique_ptr<Layer> make_reduce_scatter(const LayerContext& context);

}  // namespace tpbench
