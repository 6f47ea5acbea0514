#include "layers/linear.hpp"

namespace tpbench {
namespace {

// Y [T, h] = sum over ranks of X_i [T, h/t] W_i [h/t, h]. Every rank has a full-size partial sum: an
// all-reduce adds them up where GEMM wrote them.
class RowLinearLayer final : public LinearLayer {
 public:
  explicit RowLinearLayer(const LayerContext& context)
      : LinearLayer(context,
                    shard_of(context.shape.hidden_size, context.shape.tp_degree, context.communicator.rank()),
                    {0, context.shape.hidden_size}),
        output_(communicator().make_matrix(backend().memory(), Category::activations, shape().dtype,
                                           shape().tokens, shape().hidden_size)) {}

  void forward(std::int64_t layer, Trace& trace) override {
    trace.begin(Activity::compute);
    backend().gemm(input(), weight(layer), output_.view());
    trace.end();
    if (communicator().size() == 1) return;
    trace.begin(Activity::all_reduce);
    communicator().all_reduce_sum(output_.view().data, output_.view().elements(), shape().dtype);
    trace.end();
  }
  void poison() override { backend().poison(output_.view()); }
  OutputShard output() const override { return {output_.view(), 0, 0}; }

 private:
  Matrix output_;
};

}  // namespace

std::unique_ptr<Layer> make_row_linear(const LayerContext& context) {
  return std::make_unique<RowLinearLayer>(context);
}

}  // namespace tpbench
