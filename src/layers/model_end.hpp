#pragma once

#include "layers/output_head.hpp"

namespace tpbench {

/// What stands behind the blocks of a model: the last norm and the output head.
class ModelEnd {
 public:
  /// `table` outlives it; `layers`: weight sets of the whole model.
  ModelEnd(const LayerContext& context, VocabularyTable& table, std::int64_t layers);

  void fill();
  /// From the rows that this rank holds of the last block's output, [T/t or T, h].
  void forward(const MatrixView& x, Trace& trace);
  /// The gradients of norm and table; leaves that of `x` in `dx`.
  void backward(const MatrixView& x, const MatrixView& dx, Trace& trace);
  /// Sums over the ranks what each has of the norm's: after the last microbatch.
  void sum_gradients(Trace& trace);
  void poison(Direction direction);
  /// "logits", or in training "loss".
  [[nodiscard]] Result output(std::int64_t microbatch = 0) const {
    return head_.output(shape().trains() ? "loss" : "logits", microbatch);
  }
  [[nodiscard]] Result norm_gradient() const { return {"final_norm_gradients", parameter_gradients_.view()}; }

 private:
  [[nodiscard]] MatrixView normed() const;
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }

  LayerContext context_;
  std::int64_t layers_;
  Matrix parameters_;
  Matrix parameter_gradients_;
  Matrix parameter_gradient_;  // of one microbatch, where there are several
  Matrix normed_;              // of microbatches that are in flight
  OutputHead head_;
};

}  // namespace tpbench
