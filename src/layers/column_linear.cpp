#include "layers/linear.hpp"

namespace tpbench {
namespace {

// Y_i [T, h/t] = X [T, h] W_i [h, h/t]: each rank has whole columns of Y, and the whole Y is assembled
// everywhere.
class ColumnLinearLayer : public LinearLayer {
 public:
  explicit ColumnLinearLayer(const LayerContext& context)
      : LinearLayer(
            context, {0, context.shape.hidden_size},
            shard_of(context.shape.hidden_size, context.shape.tp_degree, context.communicator.rank())),
        output_(make_output(Category::activations, shape().tokens, shape().hidden_size)) {}

  void poison() override { backend().poison(output_.view()); }
  OutputShard output() const override { return {output_.view(), 0, 0}; }

 protected:
  Matrix make_output(Category category, std::int64_t rows, std::int64_t columns) {
    return communicator().make_matrix(backend().memory(), category, shape().dtype, rows, columns);
  }

  Matrix output_;
};

// Assembles by an all-gather. It puts shard after shard, so that with several tokens the rows of Y are in
// pieces, which are then copied to their places; that copy is compute.
class GatheringColumnLinear final : public ColumnLinearLayer {
 public:
  explicit GatheringColumnLinear(const LayerContext& context) : ColumnLinearLayer(context) {
    if (shape().tp_degree == 1) return;
    shard_ = make_output(Category::communication, shape().tokens, out().size());
    if (shape().tokens > 1) {
      gathered_ = make_output(Category::communication, shape().tp_degree * shape().tokens, out().size());
    }
  }

  void forward(std::int64_t layer, Trace& trace) override {
    const bool alone = communicator().size() == 1;
    trace.begin(Activity::compute);
    backend().gemm(input(), weight(layer), alone ? output_.view() : shard_.view());
    trace.end();
    if (alone) return;

    const bool one_row = shape().tokens == 1;
    trace.begin(Activity::all_gather);
    communicator().all_gather(shard_.view().data, shard_.view().elements(),
                              one_row ? output_.view().data : gathered_.view().data, shape().dtype);
    trace.end();
    if (one_row) return;

    trace.begin(Activity::compute);
    for (std::int64_t rank = 0; rank < communicator().size(); ++rank) {
      const MatrixView& all = gathered_.view();
      const MatrixView piece = {all.row(rank * shape().tokens), all.dtype, shape().tokens, all.columns,
                                all.columns};
      backend().copy(piece, output_.view().column_slice(rank * all.columns, all.columns));
    }
    trace.end();
  }

  void poison() override {
    ColumnLinearLayer::poison();
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
    trace.begin(Activity::compute);
    backend().set_zero(y.column_slice(0, out().begin));
    backend().set_zero(y.column_slice(out().end, y.columns - out().end));
    backend().gemm(input(), weight(layer), y.column_slice(out().begin, out().size()));
    trace.end();
    if (communicator().size() == 1) return;
    trace.begin(Activity::all_reduce);
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
