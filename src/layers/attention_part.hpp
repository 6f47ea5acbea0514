#pragma once

#include <memory>

#include "layers/reference_part.hpp"
#include "layers/region.hpp"

namespace tpbench {

/// Causal attention over this rank's heads: Q = X Wq, K = X Wk, V = X Wv, per head softmax(Q K^T / sqrt(d))
/// V, and Wo. No biases, no rotation of positions. Key/value heads that are fewer than ranks are held by
/// several.
std::unique_ptr<RegionPart> make_attention_part(const LayerContext& context);

/// The same unsharded.
template <typename T>
std::unique_ptr<ReferencePart<T>> make_attention_reference(const ReferenceContext& context);

/// Multiply-adds of the reference for all tokens of one weight set.
double attention_reference_cost(const Shape& shape);

}  // namespace tpbench
