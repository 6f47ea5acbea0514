#pragma once

#include <memory>
#include <vector>

#include "layers/block_sets.hpp"

namespace tpbench {

/// Pre-norm transformer layers, each R = X + attention(norm(X)), Y = R + mlp(norm(R)). They are chained: the
/// Y of one weight set is the X of the next. What goes into the first, and the gradient that comes into the
/// last, is somebody else's: of a `block` they are generated, and in a model they come from its other parts.
class BlockStack {
 public:
  /// `input` [T/t or T, h] is where X will be.
  BlockStack(const LayerContext& context, Matrix input);

  void fill(Heartbeat& heartbeat) { sets_.fill(heartbeat); }
  void forward(std::int64_t layer, Trace& trace) {
    sets_.forward(layer, input_of(layer), output(layer), trace);
  }
  void backward(std::int64_t layer, Trace& trace);
  /// What another layer has left stays.
  void poison(std::int64_t layer, Direction direction) { sets_.poison(layer, direction); }

  /// Rows of [T, h] that this rank holds of all that follows.
  [[nodiscard]] Range rows() const { return rows_; }
  /// X of the first layer: who makes it writes it here.
  [[nodiscard]] const MatrixView& input() const { return input_.view(); }
  /// Y of a layer, until one goes on with it.
  [[nodiscard]] const MatrixView& output(std::int64_t layer) const { return sets_.kept_output(layer); }
  /// In training: where the gradient of the last layer's output is put, and where that of each layer's input
  /// is left.
  [[nodiscard]] const MatrixView& gradient() const { return gradient_.view(); }
  /// The gradients that backward(layer) has left, that of the input first.
  [[nodiscard]] std::vector<Result> gradients(std::int64_t layer) const;

 private:
  [[nodiscard]] const MatrixView& input_of(std::int64_t layer) const {
    return layer > 0 ? output(layer - 1) : input();
  }

  Range rows_;
  BlockSets sets_;
  Matrix input_;
  Matrix gradient_;
};

std::unique_ptr<Layer> make_block(const LayerContext& context);

}  // namespace tpbench
