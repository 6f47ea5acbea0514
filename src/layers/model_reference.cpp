#include "layers/model_reference.hpp"

#include <algorithm>
#include <optional>

#include "layers/block.hpp"
#include "layers/block_reference.hpp"
#include "layers/vocabulary_reference.hpp"

namespace tpbench {
namespace {

// Behind the results of the blocks stand: forward of the last layer, logits or losses; backward of the last
// layer, the gradients of the last norm and, unless weights are tied, of the head; of the first, that of the
// embedding.
template <typename T>
class ModelReference final : public Reference {
 public:
  using Real = WiderThan<T>;
  using Rows = ReferenceRows<Real>;

  ModelReference(const LayerContext& context, const ReferenceExtent& extent, Heartbeat& heartbeat)
      : context_(context),
        heartbeat_(heartbeat),
        ids_(generated_ids(context.seed, TensorName::token_ids, context.shape)),
        head_(context, heartbeat),
        rows_(with_earlier_tokens(context.shape, extent.output_rows)),
        blocks_(make_blocks(rows_, extent.gradients)) {}

  ReferenceTile tile(std::int64_t layer, Direction direction, std::size_t index,
                     std::span<const std::int64_t> rows, Range columns) override {
    if (direction == Direction::forward)
      return index == 0 ? blocks_->tile(layer, direction, index, rows, columns) : end_tile(rows, columns);
    blocks_->input_gradient(layer);
    const std::size_t of_blocks = shape().gated() ? 9 : 8;
    if (index < of_blocks) return blocks_->tile(layer, direction, index, rows, columns);
    std::size_t further = index - of_blocks;
    if (is_last(layer)) {
      if (further == 0) return tile_of(norm_gradients_, all_rows({0, norm_rows(shape())}), rows, columns);
      if (further == 1 && !shape().ties_embeddings) return as_tile(head_.weight_gradient(rows, columns));
    }
    Rows gradient = embedding_gradient(blocks_->input_gradient(0), ids_, rows, columns);
    if (shape().ties_embeddings) {
      const Rows of_head = head_.weight_gradient(rows, columns);
      for (std::size_t i = 0; i < gradient.values.size(); ++i) gradient.values[i] += of_head.values[i];
    }
    return as_tile(gradient);
  }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] std::int64_t last() const { return shape().num_layers - 1; }
  [[nodiscard]] bool is_last(std::int64_t layer) const { return layer == last(); }

  std::unique_ptr<BlockReference<T>> make_blocks(const std::vector<std::int64_t>& rows, bool gradients) {
    typename BlockReference<T>::OutputGradient output_gradient;
    if (gradients) output_gradient = [this](const Rows& output) { return gradient_of(output); };
    return std::make_unique<BlockReference<T>>(
        context_, heartbeat_, rows,
        embedded_rows<T>(shape().dtype, embedding_key(context_.seed, shape()), ids_, rows,
                         {0, shape().hidden_size}),
        std::move(output_gradient));
  }

  [[nodiscard]] NormReference<Real> norm_of(const Rows& stream) const {
    return {shape().norm, stream,
            generated_rows<T>(shape().dtype, plain_key(context_.seed, TensorName::norm, shape().num_layers),
                              all_rows({0, norm_rows(shape())}), {0, shape().hidden_size})};
  }

  // All tokens' rows, in training.
  Rows gradient_of(const Rows& output) {
    const NormReference<Real> norm = norm_of(output);
    head_.losses(norm.output(), rows_);
    return norm.backward(head_.backward(), norm_gradients_);
  }

  ReferenceTile end_tile(std::span<const std::int64_t> rows, Range columns) {
    const std::vector<std::int64_t> tokens = tokens_of_logits(shape(), rows);
    const Rows normed = norm_of(outputs_of(tokens)).output();
    return as_tile(shape().trains() ? head_.losses(normed, tokens) : head_.logits(normed, columns));
  }

  // Where rows are split a rank is compared in its own ones, and yet has the logits of others.
  Rows outputs_of(std::span<const std::int64_t> tokens) {
    const bool has_all = std::includes(rows_.begin(), rows_.end(), tokens.begin(), tokens.end());
    if (!has_all && !all_blocks_) all_blocks_ = make_blocks(all_rows({0, shape().tokens}), false);
    const Rows& stream = (has_all ? blocks_ : all_blocks_)->output(last());
    Rows outputs = zero_rows<Real>(tokens.size(), shape().hidden_size);
    for (std::size_t r = 0; r < tokens.size(); ++r) {
      const auto place = has_all ? std::lower_bound(rows_.begin(), rows_.end(), tokens[r]) - rows_.begin()
                                 : static_cast<std::ptrdiff_t>(tokens[r]);
      std::copy_n(stream.row(static_cast<std::size_t>(place)), shape().hidden_size, outputs.row(r));
    }
    return outputs;
  }

  LayerContext context_;
  Heartbeat& heartbeat_;
  std::vector<std::int64_t> ids_;
  HeadReference<T> head_;
  Rows norm_gradients_;
  std::vector<std::int64_t> rows_;
  std::unique_ptr<BlockReference<T>> blocks_, all_blocks_;
};

}  // namespace

std::unique_ptr<Reference> make_model_reference(const LayerContext& context, const ReferenceExtent& extent,
                                                Heartbeat& heartbeat) {
  return dispatch_reference(context.shape.dtype, [&](auto zero) -> std::unique_ptr<Reference> {
    return std::make_unique<ModelReference<decltype(zero)>>(context, extent, heartbeat);
  });
}

double model_reference_cost(const Shape& shape) {
  return embedding_reference_cost(shape) + block_reference_cost(shape) + head_reference_cost(shape);
}

}  // namespace tpbench
