#include "layers/model.hpp"

#include "layers/block.hpp"
#include "layers/block_reference.hpp"
#include "layers/embedding.hpp"
#include "layers/model_reference.hpp"
#include "layers/output_head.hpp"

namespace tpbench {
namespace {

// What stands behind the blocks: the last norm and the output head.
class ModelEnd {
 public:
  ModelEnd(const LayerContext& context, VocabularyTable& table)
      : context_(context),
        rows_(local_rows(context)),
        parameters_(
            context.make_matrix(Category::replicated_weights, norm_rows(shape()), shape().hidden_size)),
        normed_(context.make_matrix(Category::activations, rows_.size(), shape().hidden_size)),
        head_(context, table) {
    if (shape().trains())
      parameter_gradients_ =
          context.make_shared_matrix(Category::gradients, norm_rows(shape()), shape().hidden_size);
  }

  void fill() {
    backend().fill(parameters_.view(), plain_key(context_.seed, TensorName::norm, shape().num_layers), 0, 0);
    head_.fill();
  }

  void forward(const MatrixView& x, Trace& trace) {
    trace.begin(Activity::compute);
    backend().norm(shape().norm, x, parameters_.view(), normed_.view());
    trace.end();
    head_.forward(normed_.view(), trace);
  }

  // Leaves the gradient of x in `dx`.
  void backward(const MatrixView& x, const MatrixView& dx, Trace& trace) {
    const MatrixView& dnormed = head_.backward(normed_.view(), trace);
    trace.begin(Activity::compute);
    backend().set_zero(dx);
    backend().norm_backward(shape().norm, x, parameters_.view(), dnormed, dx, parameter_gradients_.view());
    trace.end();
    if (!shape().splits_rows()) return;
    // Each rank saw its own rows only.
    const MatrixView& sums = parameter_gradients_.view();
    trace.begin(Activity::all_reduce, sums.elements() * shape().element_size());
    context_.communicator.all_reduce_sum(sums.data, sums.elements(), sums.dtype);
    trace.end();
  }

  void poison(Direction direction) {
    head_.poison(direction);
    backend().poison(direction == Direction::forward ? normed_.view() : parameter_gradients_.view());
  }
  [[nodiscard]] Result output() const { return head_.output(shape().trains() ? "loss" : "logits"); }
  [[nodiscard]] Result gradient() const { return {"final_norm_gradients", parameter_gradients_.view()}; }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }

  LayerContext context_;
  Range rows_;
  Matrix parameters_;
  Matrix parameter_gradients_;
  Matrix normed_;
  OutputHead head_;
};

class ModelLayer final : public Layer {
 public:
  explicit ModelLayer(const LayerContext& context)
      : context_(context),
        embedded_(context, embedding_key(context.seed, shape())),
        embedding_(context, embedded_),
        blocks_(context, context.make_shared_matrix(Category::activations, shape().local_tokens(),
                                                    shape().hidden_size)) {
    if (!shape().ties_embeddings) own_head_.emplace(context, head_key(context.seed, shape()));
    end_.emplace(context, head_table());
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
    if (is_last(layer)) end_->backward(blocks_.output(layer), blocks_.gradient(), trace);
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
      if (is_last(layer)) results.push_back(end_->output());
      return results;
    }
    std::vector<Result> results = blocks_.gradients(layer);
    if (is_last(layer)) {
      results.push_back(end_->gradient());
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
