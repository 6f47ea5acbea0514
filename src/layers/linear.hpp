#pragma once

#include <vector>

#include "layers/layer.hpp"

namespace tpbench {

/// What gemm, column_linear and row_linear share: X [T, h] and W [h, h] per weight set, of which this rank
/// holds a part, and Y = X W as the unsharded result.
class LinearLayer : public Layer {
 public:
  void fill(Heartbeat& heartbeat) final;
  [[nodiscard]] ReferenceTile reference(std::int64_t layer, std::span<const std::int64_t> rows,
                                        Range columns) const final;
  [[nodiscard]] double reference_cost_per_row() const final;
  [[nodiscard]] std::vector<RowSums> row_sums(std::int64_t layer) const final;

 protected:
  /// This rank holds rows `in` and columns `out` of every W, and columns `in` of X.
  LinearLayer(const LayerContext& context, Range in, Range out);

  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] Communicator& communicator() const { return context_.communicator; }
  [[nodiscard]] const MatrixView& input() const { return input_.view(); }
  [[nodiscard]] const MatrixView& weight(std::int64_t layer) const {
    return weights_[static_cast<std::size_t>(layer)].view();
  }
  [[nodiscard]] Range in() const { return in_; }
  [[nodiscard]] Range out() const { return out_; }

 private:
  LayerContext context_;
  Range in_;
  Range out_;
  Matrix input_;
  std::vector<Matrix> weights_;
};

std::unique_ptr<Layer> make_gemm(const LayerContext& context);
std::unique_ptr<Layer> make_column_linear(const LayerContext& context);
std::unique_ptr<Layer> make_row_linear(const LayerContext& context);

}  // namespace tpbench
