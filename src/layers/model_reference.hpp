#pragma once

#include <memory>

#include "layers/layer.hpp"

namespace tpbench {

/// The unsharded layers of `model`.
std::unique_ptr<Reference> make_model_reference(const LayerContext& context, const ReferenceExtent& extent,
                                                Heartbeat& heartbeat);

/// Multiply-adds of the reference of all its results.
double model_reference_cost(const Shape& shape);

}  // namespace tpbench
