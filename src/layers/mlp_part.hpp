#pragma once

#include <memory>

#include "layers/reference_part.hpp"
#include "layers/region.hpp"

namespace tpbench {

/// act(X A_i) B_i, A_i [h, f/t], B_i [f/t, h]. Splitting A by columns lets the activation, which is not
/// linear, work on whole sums; splitting B by the same rows needs nothing in between.
std::unique_ptr<RegionPart> make_mlp_part(const LayerContext& context);

/// The same unsharded.
template <typename T>
std::unique_ptr<ReferencePart<T>> make_mlp_reference(const ReferenceContext& context);

/// Multiply-adds of the reference for all tokens of one weight set.
double mlp_reference_cost(const Shape& shape);

}  // namespace tpbench
