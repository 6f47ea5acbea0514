#include "layers/block.hpp"

#include "layers/attention_part.hpp"
#include "layers/block_reference.hpp"
#include "layers/block_sets.hpp"
#include "layers/mlp_part.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

class BlockLayer final : public Layer {
 public:
  explicit BlockLayer(const LayerContext& context)
      : context_(context), rows_(local_rows(context)), sets_(context) {
    input_ = make_rows(Category::activations);
    if (!shape().trains()) return;
    output_gradient_ = make_rows(Category::gradients);
    stream_gradient_ = make_rows(Category::gradients);
  }

  void fill(Heartbeat& heartbeat) override {
    backend().fill(input_.view(), input_key(context_.seed), rows_.begin, 0);
    if (shape().trains())
      backend().fill(output_gradient_.view(), output_gradient_key(context_.seed), rows_.begin, 0);
    sets_.fill(heartbeat);
  }

  void forward(std::int64_t layer, Trace& trace) override {
    sets_.forward(layer, input_of(layer), sets_.kept_output(layer), trace);
  }

  void backward(std::int64_t layer, Trace& trace) override {
    if (layer == shape().num_layers - 1) {
      trace.begin(Activity::compute);
      backend().copy(output_gradient_.view(), stream_gradient_.view());
      trace.end();
    }
    sets_.backward(layer, input_of(layer), stream_gradient_.view(), trace);
    sets_.sum_gradients(layer, trace);
  }

  // What another layer has left stays: the layers are chained.
  void poison(std::int64_t layer, Direction direction) override {
    sets_.poison(layer, direction);
    if (direction == Direction::backward && layer == shape().num_layers - 1)
      backend().poison(stream_gradient_.view());
  }

  std::vector<Result> results(std::int64_t layer, Direction direction) const override {
    if (direction == Direction::forward) return {{"output", sets_.kept_output(layer), rows_.begin, 0}};
    std::vector<Result> results = {{"input_gradient", stream_gradient_.view(), rows_.begin, 0}};
    for (const Result& gradient : sets_.gradients(layer)) results.push_back(gradient);
    return results;
  }

  std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                            Heartbeat& heartbeat) const override {
    return make_block_reference(context_, extent, heartbeat);
  }
  double reference_cost() const override { return block_reference_cost(shape()); }
  std::vector<std::int64_t> cheap_rows(std::int64_t limit, std::uint64_t seed) const override {
    return first_tokens(shape(), rows_, limit, seed);
  }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] Matrix make_rows(Category category) const {
    return context_.make_matrix(category, rows_.size(), shape().hidden_size);
  }
  [[nodiscard]] const MatrixView& input_of(std::int64_t layer) const {
    return layer > 0 ? sets_.kept_output(layer - 1) : input_.view();
  }

  LayerContext context_;
  Range rows_;
  BlockSets sets_;
  Matrix input_;
  Matrix output_gradient_;
  Matrix stream_gradient_;
};

}  // namespace

std::unique_ptr<Layer> make_block(const LayerContext& context) {
  return std::make_unique<BlockLayer>(context);
}

}  // namespace tpbench
