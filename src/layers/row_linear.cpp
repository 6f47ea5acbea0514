#include "layers/linear.hpp"
#include "layers/region.hpp"

namespace tpbench {
namespace {

// Y [T, h] = sum over ranks of X_i [T, h/t] W_i [h/t, h]. Every rank has a full-size partial sum, which is
// added up where GEMM wrote it. Backward, dX_i = dY W_i^T is this rank's own and needs no collective.
class RowLinearLayer final : public LinearLayer {
 public:
  explicit RowLinearLayer(const LayerContext& context)
      : LinearLayer(context, {0, context.shape.tokens}, context.shard(context.shape.hidden_size),
                    {0, context.shape.hidden_size}),
        exit_(context) {
    make_output_gradient(local_rows(context), {0, shape().hidden_size});
    if (shape().trains())
      input_gradient_ = context.make_matrix(Category::gradients, shape().tokens, in().size());
  }

  void forward(std::int64_t layer, Trace& trace) override {
    exit_.run(
        [&](const OutputPiece& piece, const MatrixView& target) {
          backend().gemm(input().row_slice(piece.rows.begin, piece.rows.size()),
                         weight(layer).column_slice(piece.columns.begin, piece.columns.size()), target);
        },
        trace);
  }

  void backward(std::int64_t layer, Trace& trace) override {
    const MatrixView dy = exit_.gather_gradient(output_gradient(), trace);
    trace.begin(Activity::compute);
    backend().gemm(transposed(input()), dy, weight_gradient(layer));
    backend().gemm(dy, transposed(weight(layer)), input_gradient_.view());
    trace.end();
  }

  void poison(std::int64_t layer, Direction direction) override {
    LinearLayer::poison(layer, direction);
    exit_.poison(direction);
    if (direction == Direction::backward) backend().poison(input_gradient_.view());
  }

 private:
  Result output() const override { return {"output", exit_.output(), local_rows(context()).begin, 0}; }
  MatrixView input_gradient() const override { return input_gradient_.view(); }

  RegionExit exit_;
  Matrix input_gradient_;
};

}  // namespace

std::unique_ptr<Layer> make_row_linear(const LayerContext& context) {
  return std::make_unique<RowLinearLayer>(context);
}

}  // namespace tpbench
