#include "layers/model.hpp"

#include "layers/block.hpp"
#include "layers/embedding.hpp"
#include "layers/model_end.hpp"
#include "layers/model_reference.hpp"
#include "layers/reference_part.hpp"

namespace tpbench {
namespace {

class ModelLayer final : public SetLayer {
 public:
  explicit ModelLayer(const LayerContext& context)
      : SetLayer(context.shape),
        context_(context),
        embedded_(context, embedding_key(context.seed, shape())),
        embedding_(context, embedded_),
        blocks_(context, context.make_shared_matrix(Category::activations, shape().local_tokens(),
                                                    shape().hidden_size)) {
    if (!shape().ties_embeddings) own_head_.emplace(context, head_key(context.seed, shape()));
    end_.emplace(context, head_table(), shape().num_layers);
  }

  void fill(Heartbeat& heartbeat) override {
    embedded_.fill(heartbeat);
    if (own_head_) own_head_->fill(heartbeat);
    embedding_.fill();
    end_->fill();
    blocks_.fill(heartbeat);
  }

  void forward(std::int64_t layer, Trace& trace) override {
    if (layer == 0) embedding_.forward(blocks_.input(), trace);
    trace.enter_layers(true);
    blocks_.forward(layer, trace);
    trace.enter_layers(false);
    if (is_last(layer)) end_->forward(blocks_.output(layer), trace);
  }

  void backward(std::int64_t layer, Trace& trace) override {
    if (is_last(layer)) {
      end_->backward(blocks_.output(layer), blocks_.gradient(), trace);
      end_->sum_gradients(trace);
    }
    trace.enter_layers(true);
    blocks_.backward(layer, trace);
    trace.enter_layers(false);
    if (layer == 0) embedding_.backward(blocks_.gradient(), own_head_ ? Store::overwrite : Store::add, trace);
  }

  void poison(std::int64_t layer, Direction direction) override {
    const bool forward = direction == Direction::forward;
    if (layer == 0) {
      embedding_.poison(direction);
      if (forward) context_.backend.poison(blocks_.input());
      // Tied, the head has left its part there.
      else if (own_head_)
        embedded_.poison_gradient();
    }
    if (is_last(layer)) {
      end_->poison(direction);
      if (!forward) {
        context_.backend.poison(blocks_.gradient());
        head_table().poison_gradient();
      }
    }
    blocks_.poison(layer, direction);
  }

  std::vector<Result> results(std::int64_t layer, Direction direction) const override {
    if (direction == Direction::forward) {
      std::vector<Result> results = {{"output", blocks_.output(layer), blocks_.rows().begin, 0}};
      if (!is_last(layer)) return results;
      results.push_back(end_->output());
      results.back().sampled_rows = sampled_ends();
      return results;
    }
    std::vector<Result> results = blocks_.gradients(layer);
    if (is_last(layer)) {
      results.push_back(end_->norm_gradient());
      if (own_head_) results.push_back(own_head_->gradient_result("head_gradient"));
    }
    if (layer == 0) results.push_back(embedded_.gradient_result("embedding_gradient"));
    return results;
  }

  std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                            Heartbeat& heartbeat) const override {
    return make_model_reference(context_, extent, heartbeat);
  }
  double reference_cost() const override { return model_reference_cost(shape()); }
  std::vector<std::int64_t> cheap_rows(std::int64_t limit, std::uint64_t seed) const override {
    return first_tokens(shape(), blocks_.rows(), limit, seed);
  }

 private:
  // Of the first token alone, which looks at no other: it is among the cheap rows where this rank has it.
  [[nodiscard]] std::vector<std::int64_t> sampled_ends() const {
    const bool has_it = shape().logit_rows() == shape().tokens || shape().sequence_length == 1;
    return has_it && blocks_.rows().begin == 0 ? std::vector<std::int64_t>{0} : std::vector<std::int64_t>{};
  }
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] bool is_last(std::int64_t layer) const { return layer == shape().num_layers - 1; }
  VocabularyTable& head_table() { return own_head_ ? *own_head_ : embedded_; }

  LayerContext context_;
  VocabularyTable embedded_;
  std::optional<VocabularyTable> own_head_;  // where weights are not tied
  Embedding embedding_;
  BlockStack blocks_;
  std::optional<ModelEnd> end_;
};

}  // namespace

std::unique_ptr<Layer> make_model(const LayerContext& context) {
  return std::make_unique<ModelLayer>(context);
}

}  // namespace tpbench
