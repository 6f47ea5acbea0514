#include "layers/output_head.hpp"
#include "layers/vocabulary_reference.hpp"

namespace tpbench {
namespace {

// Rows of logits and of losses can be had alone; of gradients everything is kept.
template <typename T>
class LmHeadReference final : public Reference {
 public:
  LmHeadReference(const LayerContext& context, Heartbeat& heartbeat)
      : context_(context), head_(context, heartbeat) {}

  ReferenceTile tile(std::int64_t, Direction direction, std::size_t index, std::span<const std::int64_t> rows,
                     Range columns) override {
    if (direction == Direction::forward) {
      const std::vector<std::int64_t> tokens = tokens_of_logits(context_.shape, rows);
      const auto x = inputs(tokens);
      return as_tile(context_.shape.trains() ? head_.losses(x, tokens) : head_.logits(x, columns));
    }
    if (input_gradient_.columns == 0) {
      head_.losses(inputs(every_token()), every_token());
      input_gradient_ = head_.backward();
    }
    if (index == 0) return tile_of(input_gradient_, every_token(), rows, columns);
    return as_tile(head_.weight_gradient(rows, columns));
  }

 private:
  [[nodiscard]] std::vector<std::int64_t> every_token() const { return all_rows({0, context_.shape.tokens}); }
  [[nodiscard]] auto inputs(std::span<const std::int64_t> tokens) const {
    return generated_rows<T>(context_.shape.dtype, input_key(context_.seed), tokens,
                             {0, context_.shape.hidden_size});
  }

  LayerContext context_;
  HeadReference<T> head_;
  ReferenceRows<WiderThan<T>> input_gradient_;
};

class LmHeadLayer final : public SetLayer {
 public:
  explicit LmHeadLayer(const LayerContext& context)
      : SetLayer(context.shape),
        context_(context),
        rows_(local_rows(context)),
        input_(context.make_matrix(Category::activations, rows_.size(), context.shape.hidden_size)),
        table_(context, head_key(context.seed, context.shape)),
        head_(context, table_) {}

  void fill(Heartbeat& heartbeat) override {
    context_.backend.fill(input_.view(), input_key(context_.seed), rows_.begin, 0);
    table_.fill(heartbeat);
    head_.fill();
  }
  void forward(std::int64_t, Trace& trace) override { head_.forward(input_.view(), trace); }
  void backward(std::int64_t, Trace& trace) override { head_.backward(input_.view(), trace); }
  void poison(std::int64_t, Direction direction) override {
    head_.poison(direction);
    if (direction == Direction::backward) table_.poison_gradient();
  }
  std::vector<Result> results(std::int64_t, Direction direction) const override {
    if (direction == Direction::forward) return {head_.output("output")};
    return {{"input_gradient", head_.input_gradient(), rows_.begin, 0},
            table_.gradient_result("head_gradient")};
  }
  std::unique_ptr<Reference> make_reference(const ReferenceExtent&, Heartbeat& heartbeat) const override {
    return dispatch_reference(context_.shape.dtype, [&](auto zero) -> std::unique_ptr<Reference> {
      return std::make_unique<LmHeadReference<decltype(zero)>>(context_, heartbeat);
    });
  }
  double reference_cost() const override { return head_reference_cost(context_.shape); }
  // A row of logits is a product with the whole weight: a few are enough.
  std::vector<std::int64_t> cheap_rows(std::int64_t limit, std::uint64_t seed) const override {
    return SetLayer::cheap_rows(std::min<std::int64_t>(limit, 2), seed);
  }

 private:
  LayerContext context_;
  Range rows_;
  Matrix input_;
  VocabularyTable table_;
  OutputHead head_;
};

}  // namespace

std::unique_ptr<Layer> make_lm_head(const LayerContext& context) {
  return std::make_unique<LmHeadLayer>(context);
}

}  // namespace tpbench
