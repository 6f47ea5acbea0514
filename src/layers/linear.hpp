#pragma once

#include <vector>

#include "layers/layer.hpp"

namespace tpbench {

/// What gemm, column_linear and row_linear share: X [T, h] and W [h, h] per weight set, of which this rank
/// holds a part, and Y = X W as the unsharded result. In training also dW = X^T dY and dX = dY W^T.
class LinearLayer : public SetLayer {
 public:
  void fill(Heartbeat& heartbeat) final;
  void poison(std::int64_t layer, Direction direction) override;
  [[nodiscard]] std::vector<Result> results(std::int64_t layer, Direction direction) const final;
  [[nodiscard]] std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                                          Heartbeat& heartbeat) const final;
  [[nodiscard]] double reference_cost() const final;

 protected:
  /// This rank holds rows `in` and columns `out` of every W, and rows `rows` and columns `in` of X.
  LinearLayer(const LayerContext& context, Range rows, Range in, Range out);

  /// Where the output of a step is, and the part of Y that it is.
  [[nodiscard]] virtual Result output() const = 0;
  /// The gradient of X that backward leaves, and the part of it that this rank holds.
  [[nodiscard]] virtual MatrixView input_gradient() const { return {}; }

  [[nodiscard]] const LayerContext& context() const { return context_; }
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] Communicator& communicator() const { return context_.communicator; }
  [[nodiscard]] const MatrixView& input() const { return input_.view(); }
  [[nodiscard]] const MatrixView& weight(std::int64_t layer) const {
    return weights_[static_cast<std::size_t>(layer)].view();
  }
  [[nodiscard]] const MatrixView& weight_gradient(std::int64_t layer) const {
    return weight_gradients_[static_cast<std::size_t>(layer)].view();
  }
  /// In training: rows `rows` and columns `columns` of the gradient with which backward begins.
  void make_output_gradient(Range rows, Range columns);
  [[nodiscard]] const MatrixView& output_gradient() const { return output_gradient_.view(); }
  [[nodiscard]] Range in() const { return in_; }
  [[nodiscard]] Range out() const { return out_; }

 private:
  LayerContext context_;
  Range rows_;
  Range in_;
  Range out_;
  Matrix input_;
  std::vector<Matrix> weights_;
  std::vector<Matrix> weight_gradients_;
  Matrix output_gradient_;
  Range gradient_rows_, gradient_columns_;
};

std::unique_ptr<Layer> make_gemm(const LayerContext& context);
std::unique_ptr<Layer> make_column_linear(const LayerContext& context);
std::unique_ptr<Layer> make_row_linear(const LayerContext& context);

}  // namespace tpbench
