#include "layers/embedding.hpp"

#include "layers/vocabulary_reference.hpp"

namespace tpbench {

Embedding::Embedding(const LayerContext& context, VocabularyTable& table)
    : context_(context), table_(table), ids_(context, TensorName::token_ids) {
  const Shape& s = context.shape;
  if (s.splits_rows()) whole_ = context.make_shared_matrix(Category::communication, s.tokens, s.hidden_size);
}

void Embedding::forward(const MatrixView& local, Trace& trace) {
  const MatrixView& partial = context_.shape.splits_rows() ? whole_.view() : local;
  trace.begin(Activity::compute);
  context_.backend.look_up(ids_.ids(), table_.weight(), partial);
  trace.end();
  reduce_rows(context_, partial, local, trace);
}

void Embedding::backward(const MatrixView& local_gradient, Store store, Trace& trace) {
  const MatrixView dy = gather_rows(context_, local_gradient, whole_.view(), trace);
  trace.begin(Activity::compute);
  context_.backend.look_up_backward(ids_.ids(), dy, table_.gradient(), store);
  trace.end();
}

void Embedding::poison(Direction) { context_.backend.poison(whole_.view()); }

namespace {

template <typename T>
class EmbeddingReference final : public Reference {
 public:
  explicit EmbeddingReference(const LayerContext& context)
      : context_(context), ids_(generated_ids(context.seed, TensorName::token_ids, context.shape)) {}

  ReferenceTile tile(std::int64_t, Direction direction, std::size_t, std::span<const std::int64_t> rows,
                     Range columns) override {
    const Shape& s = context_.shape;
    if (direction == Direction::forward)
      return as_tile(embedded_rows<T>(s.dtype, embedding_key(context_.seed, s), ids_, rows, columns));
    const auto dy = generated_rows<T>(s.dtype, output_gradient_key(context_.seed), all_rows({0, s.tokens}),
                                      {0, s.hidden_size});
    return as_tile(embedding_gradient(dy, ids_, rows, columns));
  }

 private:
  LayerContext context_;
  std::vector<std::int64_t> ids_;
};

class EmbeddingLayer final : public SetLayer {
 public:
  explicit EmbeddingLayer(const LayerContext& context)
      : SetLayer(context.shape),
        context_(context),
        rows_(local_rows(context)),
        table_(context, embedding_key(context.seed, context.shape)),
        embedding_(context, table_),
        output_(context.make_shared_matrix(Category::activations, rows_.size(), shape().hidden_size)) {
    if (shape().trains())
      output_gradient_ = context.make_matrix(Category::gradients, rows_.size(), shape().hidden_size);
  }

  void fill(Heartbeat& heartbeat) override {
    table_.fill(heartbeat);
    embedding_.fill();
    if (shape().trains())
      context_.backend.fill(output_gradient_.view(), output_gradient_key(context_.seed), rows_.begin, 0);
  }
  void forward(std::int64_t, Trace& trace) override { embedding_.forward(output_.view(), trace); }
  void backward(std::int64_t, Trace& trace) override {
    embedding_.backward(output_gradient_.view(), Store::overwrite, trace);
  }
  void poison(std::int64_t, Direction direction) override {
    embedding_.poison(direction);
    if (direction == Direction::forward)
      context_.backend.poison(output_.view());
    else
      table_.poison_gradient();
  }
  std::vector<Result> results(std::int64_t, Direction direction) const override {
    if (direction == Direction::forward) return {{"output", output_.view(), rows_.begin, 0}};
    return {table_.gradient_result("embedding_gradient")};
  }
  std::unique_ptr<Reference> make_reference(const ReferenceExtent&, Heartbeat&) const override {
    return dispatch_reference(shape().dtype, [&](auto zero) -> std::unique_ptr<Reference> {
      return std::make_unique<EmbeddingReference<decltype(zero)>>(context_);
    });
  }
  double reference_cost() const override { return embedding_reference_cost(shape()); }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }

  LayerContext context_;
  Range rows_;
  VocabularyTable table_;
  Embedding embedding_;
  Matrix output_;
  Matrix output_gradient_;
};

}  // namespace

std::unique_ptr<Layer> make_embedding(const LayerContext& context) {
  return std::make_unique<EmbeddingLayer>(context);
}

}  // namespace tpbench
