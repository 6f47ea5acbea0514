#include "layers/linear.hpp"
#include "layers/region.hpp"

namespace tpbench {
namespace {

// Y_i [T, h/t] = X [T, h] W_i [h, h/t]: each rank has whole columns of Y, and the whole Y is assembled
// everywhere. Backward needs this rank's columns of dY only, dW_i = X^T dY_i; dX is a sum over the ranks of
// dY_i W_i^T.
class ColumnLinearLayer : public LinearLayer {
 public:
  explicit ColumnLinearLayer(const LayerContext& context)
      : LinearLayer(context, local_rows(context), {0, context.shape.hidden_size},
                    context.shard(context.shape.hidden_size)),
        entry_(context),
        output_(context.make_shared_matrix(Category::activations, shape().tokens, shape().hidden_size)) {
    make_output_gradient({0, shape().tokens}, out());
  }

  void backward(std::int64_t layer, Trace& trace) final {
    const MatrixView x = entry_.gather(input(), trace);
    trace.begin(Activity::compute);
    backend().gemm(transposed(x), output_gradient(), weight_gradient(layer));
    backend().gemm(output_gradient(), transposed(weight(layer)), entry_.partial_gradient());
    trace.end();
    entry_.reduce_gradient(trace);
  }

  void poison(std::int64_t layer, Direction direction) override {
    LinearLayer::poison(layer, direction);
    entry_.poison(direction);
    if (direction == Direction::forward) backend().poison(output_.view());
  }

 protected:
  [[nodiscard]] std::int64_t output_bytes() const {
    return output_.view().elements() * shape().element_size();
  }

  RegionEntry entry_;
  Matrix output_;

 private:
  Result output() const final { return {"output", output_.view(), 0, 0}; }
  MatrixView input_gradient() const final { return entry_.gradient(); }
};

// Assembles by an all-gather. It puts shard after shard, so that with several tokens the rows of Y are in
// pieces, which are then copied to their places; that copy is compute.
class GatheringColumnLinear final : public ColumnLinearLayer {
 public:
  explicit GatheringColumnLinear(const LayerContext& context) : ColumnLinearLayer(context) {
    if (shape().layout.tp == 1) return;
    shard_ = context.make_shared_matrix(Category::communication, shape().tokens, out().size());
    if (shape().tokens > 1) {
      gathered_ = context.make_shared_matrix(Category::communication, shape().layout.tp * shape().tokens,
                                             out().size());
    }
  }

  void forward(std::int64_t layer, Trace& trace) override {
    const bool alone = shape().layout.tp == 1;
    const MatrixView x = entry_.gather(input(), trace);
    trace.begin(Activity::compute);
    backend().gemm(x, weight(layer), alone ? output_.view() : shard_.view());
    trace.end();
    if (alone) return;

    const bool one_row = shape().tokens == 1;
    trace.begin(Activity::all_gather, output_bytes());
    communicator().all_gather(shard_.view().data, shard_.view().elements(),
                              one_row ? output_.view().data : gathered_.view().data, shape().dtype);
    trace.end();
    if (one_row) return;

    trace.begin(Activity::compute);
    const MatrixView& all = gathered_.view();
    for (std::int64_t rank = 0; rank < shape().layout.tp; ++rank) {
      backend().copy(all.row_slice(rank * shape().tokens, shape().tokens),
                     output_.view().column_slice(rank * all.columns, all.columns));
    }
    trace.end();
  }

  void poison(std::int64_t layer, Direction direction) override {
    ColumnLinearLayer::poison(layer, direction);
    if (direction == Direction::backward) return;
    backend().poison(shard_.view());
    backend().poison(gathered_.view());
  }

 private:
  Matrix shard_;
  Matrix gathered_;
};

// Assembles as course texts draw it: every rank puts its columns into zeros of full size, and the sum over
// ranks is Y.
class SummingColumnLinear final : public ColumnLinearLayer {
 public:
  using ColumnLinearLayer::ColumnLinearLayer;

  void forward(std::int64_t layer, Trace& trace) override {
    const MatrixView& y = output_.view();
    const MatrixView x = entry_.gather(input(), trace);
    trace.begin(Activity::compute);
    backend().set_zero(y.column_slice(0, out().begin));
    backend().set_zero(y.column_slice(out().end, y.columns - out().end));
    backend().gemm(x, weight(layer), y.column_slice(out().begin, out().size()));
    trace.end();
    if (shape().layout.tp == 1) return;
    trace.begin(Activity::all_reduce, output_bytes());
    communicator().all_reduce_sum(y.data, y.elements(), shape().dtype);
    trace.end();
  }
};

}  // namespace

std::unique_ptr<Layer> make_column_linear(const LayerContext& context) {
  if (context.shape.combine == Combine::all_gather) return std::make_unique<GatheringColumnLinear>(context);
  return std::make_unique<SummingColumnLinear>(context);
}

}  // namespace tpbench
