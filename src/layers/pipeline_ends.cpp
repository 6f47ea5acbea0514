#include "layers/pipeline_ends.hpp"

#include <optional>

#include "layers/block_reference.hpp"
#include "layers/embedding.hpp"
#include "layers/model_end.hpp"
#include "layers/model_reference.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

bool holds_first(const LayerContext& stage) { return stage.stage->rank == 0; }
bool holds_last(const LayerContext& stage) { return stage.stage->rank + 1 == stage.stage->ranks; }

class GeneratedEnds final : public PipelineEnds {
 public:
  GeneratedEnds(const LayerContext& whole, const LayerContext& stage)
      : whole_(whole), stage_(stage), rows_(local_rows(stage)) {
    if (holds_last(stage) && whole.shape.trains())
      output_gradient_ =
          stage.make_matrix(Category::gradients, whole.shape.local_tokens(), whole.shape.hidden_size);
  }

  void fill(const MatrixView& input, Heartbeat&) override {
    for (std::int64_t m = 0; m < whole_.shape.microbatches; ++m) {
      const std::int64_t row = m * stage_.shape.tokens + rows_.begin;
      if (input.rows > 0) stage_.backend.fill(of(input, m), input_key(whole_.seed), row, 0);
      if (output_gradient_.view().rows > 0)
        stage_.backend.fill(of(output_gradient_.view(), m), output_gradient_key(whole_.seed), row, 0);
    }
  }
  void make_input(const MatrixView&, Trace&) override {}
  void take_output(const MatrixView&, Trace&) override {}
  void make_gradient(const MatrixView&, const MatrixView& gradient, Trace& trace) override {
    trace.begin(Activity::compute);
    stage_.backend.copy(of(output_gradient_.view(), stage_.microbatch()), gradient);
    trace.end();
  }
  void take_gradient(const MatrixView&, Trace&) override {}
  void sum_gradients(Trace&) override {}
  void join_gradients(const MatrixView&, StageMessages&, Trace&) override {}
  void poison() override {}

  std::vector<Result> outputs(std::int64_t) const override { return {}; }
  std::vector<Result> last_gradients() const override { return {}; }
  std::vector<Result> first_gradients() const override { return {}; }
  std::vector<Result> joined_gradients() const override { return {}; }
  std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                            Heartbeat& heartbeat) const override {
    return make_block_reference(whole_, extent, heartbeat);
  }
  double reference_cost() const override { return block_reference_cost(whole_.shape); }

 private:
  [[nodiscard]] MatrixView of(const MatrixView& batch, std::int64_t microbatch) const {
    return batch.row_slice(microbatch * rows_.size(), rows_.size());
  }

  LayerContext whole_, stage_;
  Range rows_;
  Matrix output_gradient_;  // of the whole batch
};

// Tied weights are on both ends' ranks. In training each end has its part of the gradient, also where both
// are one rank.
class ModelEnds final : public PipelineEnds {
 public:
  ModelEnds(const LayerContext& whole, const LayerContext& stage) : whole_(whole), stage_(stage) {
    if (holds_first(stage)) {
      embedded_.emplace(stage, embedding_key(stage.seed, shape()));
      embedding_.emplace(stage, *embedded_);
    }
    if (!holds_last(stage)) return;
    const bool is_one = stage.stage->ranks == 1;
    if (!shape().ties_embeddings || !is_one)
      own_head_.emplace(stage, head_key(stage.seed, shape()));
    else if (shape().trains())
      own_head_.emplace(stage, *embedded_);
    end_.emplace(stage, own_head_ ? *own_head_ : *embedded_, whole.shape.num_layers);
  }

  void fill(const MatrixView&, Heartbeat& heartbeat) override {
    for (auto* table : {&embedded_, &own_head_}) {
      if (*table) (*table)->fill(heartbeat);
    }
    if (embedding_) embedding_->fill();
    if (end_) end_->fill();
  }
  void make_input(const MatrixView& x, Trace& trace) override { embedding_->forward(x, trace); }
  void take_output(const MatrixView& y, Trace& trace) override { end_->forward(y, trace); }
  void make_gradient(const MatrixView& y, const MatrixView& gradient, Trace& trace) override {
    end_->backward(y, gradient, trace);
  }
  void take_gradient(const MatrixView& gradient, Trace& trace) override {
    embedding_->backward(gradient, stage_.into_gradient(), trace);
  }
  void sum_gradients(Trace& trace) override { end_->sum_gradients(trace); }
  void join_gradients(const MatrixView& others, StageMessages& messages, Trace& trace) override {
    if (embedded_ && own_head_) {
      const MatrixView& sum = embedded_->gradient();
      trace.turn(Direction::backward);
      trace.begin(Activity::compute);
      stage_.backend.add(sum, own_head_->gradient(), sum);
      trace.end();
    } else if (const VocabularyTable* table = own_table()) {
      joined_ = others;
      messages.exchange(table->gradient(), others, trace);
    }
  }

  void poison() override {
    for (const Direction direction : {Direction::forward, Direction::backward}) {
      if (embedding_) embedding_->poison(direction);
      if (end_) end_->poison(direction);
    }
    for (const auto* table : {&embedded_, &own_head_}) {
      if (*table) (*table)->poison_gradient();
    }
  }

  std::vector<Result> outputs(std::int64_t microbatch) const override {
    Result output = end_->output(microbatch);
    // Of its first token, which looks at no other.
    const bool has_it = shape().logit_rows() == shape().tokens || shape().sequence_length == 1;
    if (has_it && local_rows(stage_).begin == 0) output.sampled_rows = {0};
    return {output};
  }
  std::vector<Result> last_gradients() const override {
    std::vector<Result> results = {end_->norm_gradient()};
    if (!shape().ties_embeddings) results.push_back(own_head_->gradient_result("head_gradient"));
    return results;
  }
  std::vector<Result> first_gradients() const override {
    if (stage_.stage->ranks > 1 && shape().ties_embeddings) return joined_gradients();
    return {embedded_->gradient_result("embedding_gradient")};
  }
  std::vector<Result> joined_gradients() const override {
    if (!shape().ties_embeddings) return {};
    return {own_table()->without_padding("embedding_gradient", joined_)};
  }
  std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                            Heartbeat& heartbeat) const override {
    return make_model_reference(whole_, extent, heartbeat);
  }
  double reference_cost() const override { return model_reference_cost(whole_.shape); }

 private:
  [[nodiscard]] const Shape& shape() const { return stage_.shape; }
  // Of the ranks of several the one that this holds; null between the ends.
  [[nodiscard]] const VocabularyTable* own_table() const {
    if (embedded_) return &*embedded_;
    return own_head_ ? &*own_head_ : nullptr;
  }

  LayerContext whole_, stage_;
  std::optional<VocabularyTable> embedded_, own_head_;
  std::optional<Embedding> embedding_;
  std::optional<ModelEnd> end_;
  MatrixView joined_ = {};
};

}  // namespace

std::unique_ptr<PipelineEnds> make_generated_ends(const LayerContext& whole, const LayerContext& stage) {
  return std::make_unique<GeneratedEnds>(whole, stage);
}

std::unique_ptr<PipelineEnds> make_model_ends(const LayerContext& whole, const LayerContext& stage) {
  return std::make_unique<ModelEnds>(whole, stage);
}

}  // namespace tpbench
