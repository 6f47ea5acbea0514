#pragma once

#include <array>
#include <memory>
#include <vector>

#include "layers/region.hpp"

namespace tpbench {

/// Pre-norm transformer layers, each R = X + attention(norm(X)), Y = R + mlp(norm(R)). They are chained: the
/// Y of one weight set is the X of the next. What goes into the first, and the gradient that comes into the
/// last, is somebody else's: of a `block` they are generated, and in a model they come from its other parts.
class BlockStack {
 public:
  /// `input` [T/t or T, h] is where X will be.
  BlockStack(const LayerContext& context, Matrix input);

  void fill(Heartbeat& heartbeat);
  void forward(std::int64_t layer, Trace& trace);
  void backward(std::int64_t layer, Trace& trace);
  /// What another layer has left stays.
  void poison(std::int64_t layer, Direction direction);

  /// Rows of [T, h] that this rank holds of all that follows.
  [[nodiscard]] Range rows() const { return rows_; }
  /// X of the first layer: who makes it writes it here.
  [[nodiscard]] const MatrixView& input() const { return input_.view(); }
  /// Y of a layer, until one goes on with it.
  [[nodiscard]] const MatrixView& output(std::int64_t layer) const { return after(layer, kHalves - 1); }
  /// In training: where the gradient of the last layer's output is put, and where that of each layer's input
  /// is left.
  [[nodiscard]] const MatrixView& gradient() const { return gradient_.view(); }
  /// The gradients that backward(layer) has left, that of the input first.
  [[nodiscard]] std::vector<Result> gradients(std::int64_t layer) const;

 private:
  static constexpr std::size_t kHalves = 2;  // attention and mlp: what stands between a norm and a sum

  static std::size_t index(std::int64_t layer) { return static_cast<std::size_t>(layer); }
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] Matrix make_rows(Category category) const {
    return context_.make_matrix(category, rows_.size(), shape().hidden_size);
  }
  [[nodiscard]] const MatrixView& after(std::int64_t layer, std::size_t half) const;
  [[nodiscard]] const MatrixView& before(std::int64_t layer, std::size_t half) const;
  [[nodiscard]] const MatrixView& normed(std::int64_t layer, std::size_t half) const;
  [[nodiscard]] MatrixView norm_of(const std::vector<Matrix>& norms, std::int64_t layer,
                                   std::size_t half) const;

  LayerContext context_;
  Range rows_;
  RegionEntry entry_;
  RegionExit exit_;
  std::array<std::unique_ptr<RegionPart>, kHalves> parts_;
  Matrix input_;
  std::vector<Matrix> stream_;
  std::vector<Matrix> normed_;
  std::vector<Matrix> norms_;  // per layer: gain (and shift) of one half after the other
  std::vector<Matrix> norm_gradients_;
  Matrix gradient_;
};

/// Multiply-adds of the reference of all layers' results.
double block_reference_cost(const Shape& shape);

std::unique_ptr<Layer> make_block(const LayerContext& context);

}  // namespace tpbench
