#pragma once

#include "layers/output_head.hpp"

namespace tpbench {

/// What stands behind the blocks of a model: the last norm and the output head.
class ModelEnd {
 public:
  /// `table` outlives it.
  ModelEnd(const LayerContext& context, VocabularyTable& table);

  void fill();
  /// From the rows that this rank holds of the last block's output, [T/t or T, h].
  void forward(const MatrixView& x, Trace& trace);
  /// The gradients of norm and table; leaves that of `x` in `dx`.
  void backward(const MatrixView& x, const MatrixView& dx, Trace& trace);
  void poison(Direction direction);
  /// "logits", or in training "loss".
  [[nodiscard]] Result output() const { return head_.output(shape().trains() ? "loss" : "logits"); }
  [[nodiscard]] Result norm_gradient() const { return {"final_norm_gradients", parameter_gradients_.view()}; }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }

  LayerContext context_;
  Matrix parameters_;
  Matrix parameter_gradients_;
  Matrix normed_;
  OutputHead head_;
};

}  // namespace tpbench
