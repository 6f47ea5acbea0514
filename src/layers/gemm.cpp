#include "layers/linear.hpp"

namespace tpbench {
namespace {

// Y_i [T, h/t] = X [T, h] W_i [h, h/t], and nothing else.
class GemmLayer final : public LinearLayer {
 public:
  explicit GemmLayer(const LayerContext& context)
      : LinearLayer(context, {0, context.shape.tokens}, {0, context.shape.hidden_size},
                    context.shard(context.shape.hidden_size)),
        output_(context.make_matrix(Category::activations, shape().tokens, out().size())) {}

  void forward(std::int64_t layer, Trace& trace) override {
    trace.begin(Activity::compute);
    backend().gemm(input(), weight(layer), output_.view());
    trace.end();
  }
  void poison(std::int64_t, Direction) override { backend().poison(output_.view()); }

 private:
  Result output() const override { return {"output", output_.view(), 0, out().begin}; }

  Matrix output_;
};

}  // namespace

std::unique_ptr<Layer> make_gemm(const LayerContext& context) { return std::make_unique<GemmLayer>(context); }

}  // namespace tpbench
