#pragma once

#include "compute/token_ids.hpp"
#include "layers/layer.hpp"
#include "layers/tensors.hpp"

namespace tpbench {

/// The ids of all tokens of the batch, where tensors lie: every rank has them all.
class TokenIdList {
 public:
  TokenIdList(const LayerContext& context, TensorName name);
  void fill();
  /// Of the microbatch that is under way.
  [[nodiscard]] TokenIds ids() const;

 private:
  LayerContext context_;
  TensorName name_;
  Allocation memory_;
};

/// A weight [V, h] of which each rank has V/t rows, rounded up: the rows of its ids, then zeros that no token
/// has and that take no part in a softmax. In training with its gradient.
class VocabularyTable {
 public:
  VocabularyTable(const LayerContext& context, const TensorKey& key);
  /// The same weight with a gradient of its own; `tied` outlives it.
  VocabularyTable(const LayerContext& context, const VocabularyTable& tied);
  void fill(Heartbeat& heartbeat);
  void poison_gradient() const { context_.backend.poison(gradient_.view()); }
  [[nodiscard]] const MatrixView& weight() const { return tied_ ? tied_->weight() : weight_.view(); }
  [[nodiscard]] const MatrixView& gradient() const { return gradient_.view(); }
  /// The gradient without padding.
  [[nodiscard]] Result gradient_result(std::string_view name) const {
    return without_padding(name, gradient());
  }
  [[nodiscard]] Result without_padding(std::string_view name, const MatrixView& gradient) const;

 private:
  LayerContext context_;
  TensorKey key_;
  Range held_;
  const VocabularyTable* tied_ = nullptr;
  Matrix weight_;
  Matrix gradient_;
};

}  // namespace tpbench
