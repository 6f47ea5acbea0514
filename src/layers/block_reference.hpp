#pragma once

#include <memory>

#include "layers/layer.hpp"

namespace tpbench {

/// Rows of parameters of one norm: gain, and shift for a layer norm.
inline std::int64_t norm_rows(const Shape& shape) { return shape.norm == Norm::layer_norm ? 2 : 1; }

/// The unsharded layers of `block`, one after the other from the first input.
std::unique_ptr<Reference> make_block_reference(const LayerContext& context, const ReferenceExtent& extent,
                                                Heartbeat& heartbeat);
/// Multiply-adds of the reference of all results.
double block_reference_cost(const Shape& shape);

}  // namespace tpbench
