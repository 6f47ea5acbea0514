#include "layers/block.hpp"

#include <utility>

#include "layers/block_reference.hpp"
#include "layers/reference_part.hpp"
#include "layers/tensors.hpp"

namespace tpbench {

BlockStack::BlockStack(const LayerContext& context, Matrix input)
    : rows_(local_rows(context)), sets_(context), input_(std::move(input)) {
  if (context.shape.trains())
    gradient_ = context.make_matrix(Category::gradients, rows_.size(), context.shape.hidden_size);
}

void BlockStack::backward(std::int64_t layer, Trace& trace) {
  sets_.backward(layer, input_of(layer), gradient(), trace);
  sets_.sum_gradients(layer, trace);
}

std::vector<Result> BlockStack::gradients(std::int64_t layer) const {
  std::vector<Result> results = {{"input_gradient", gradient(), rows_.begin, 0}};
  for (const Result& of_weights : sets_.gradients(layer)) results.push_back(of_weights);
  return results;
}

namespace {

class BlockLayer final : public SetLayer {
 public:
  explicit BlockLayer(const LayerContext& context)
      : SetLayer(context.shape),
        context_(context),
        stack_(context, context.make_matrix(Category::activations, context.shape.local_tokens(),
                                            context.shape.hidden_size)) {
    if (shape().trains())
      output_gradient_ = context.make_matrix(Category::gradients, stack_.rows().size(), shape().hidden_size);
  }

  void fill(Heartbeat& heartbeat) override {
    const std::int64_t first = stack_.rows().begin;
    backend().fill(stack_.input(), input_key(context_.seed), first, 0);
    if (shape().trains())
      backend().fill(output_gradient_.view(), output_gradient_key(context_.seed), first, 0);
    stack_.fill(heartbeat);
  }

  void forward(std::int64_t layer, Trace& trace) override { stack_.forward(layer, trace); }

  void backward(std::int64_t layer, Trace& trace) override {
    if (is_last(layer)) {
      trace.begin(Activity::compute);
      backend().copy(output_gradient_.view(), stack_.gradient());
      trace.end();
    }
    stack_.backward(layer, trace);
  }

  void poison(std::int64_t layer, Direction direction) override {
    stack_.poison(layer, direction);
    if (direction == Direction::backward && is_last(layer)) backend().poison(stack_.gradient());
  }

  std::vector<Result> results(std::int64_t layer, Direction direction) const override {
    if (direction == Direction::forward) return {{"output", stack_.output(layer), stack_.rows().begin, 0}};
    return stack_.gradients(layer);
  }

  std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                            Heartbeat& heartbeat) const override {
    return make_block_reference(context_, extent, heartbeat);
  }
  double reference_cost() const override { return block_reference_cost(shape()); }
  std::vector<std::int64_t> cheap_rows(std::int64_t limit, std::uint64_t seed) const override {
    return first_tokens(shape(), stack_.rows(), limit, seed);
  }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] bool is_last(std::int64_t layer) const { return layer == shape().num_layers - 1; }

  LayerContext context_;
  BlockStack stack_;
  Matrix output_gradient_;
};

}  // namespace

std::unique_ptr<Layer> make_block(const LayerContext& context) {
  return std::make_unique<BlockLayer>(context);
}

}  // namespace tpbench
