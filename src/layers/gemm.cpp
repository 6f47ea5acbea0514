#include "layers/linear.hpp"

namespace tpbench {
namespace {

// Y_i [T, h/t] = X [T, h] W_i [h, h/t], and nothing else.
class GemmLayer final : public LinearLayer {
 public:
  explicit GemmLayer(const LayerContext& context)
      : LinearLayer(
            context, {0, context.shape.hidden_size},
            shard_of(context.shape.hidden_size, context.shape.tp_degree, context.communicator.rank())),
        output_(backend().make_matrix(Category::activations, shape().dtype, shape().tokens, out().size())) {}

  void forward(std::int64_t layer, Trace& trace) override {
    trace.begin(Activity::compute);
    backend().gemm(input(), weight(layer), output_.view());
    trace.end();
  }
  void poison() override { backend().poison(output_.view()); }
  OutputShard output() const override { return {output_.view(), 0, out().begin}; }

 private:
  Matrix output_;
};

}  // namespace

std::unique_ptr<Layer> make_gemm(const LayerContext& context) { return std::make_unique<GemmLayer>(context); }

}  // namespace tpbench
