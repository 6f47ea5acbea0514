#pragma once

#include <memory>
#include <optional>

#include "layers/region.hpp"
#include "layers/vocabulary.hpp"

namespace tpbench {

/// The output head of a vocabulary that is split over the ranks: each has columns of the logits. A forward
/// pass gathers them, those of the last tokens or of all. Training needs no logits but their cross-entropy,
/// for which three numbers of each token go over the ranks (Megatron-LM's vocab_parallel_cross_entropy, arXiv
/// 1909.08053, section 3): the largest logit, the sum of exponentials, the logit of the target. In a model it
/// stands behind the last norm.
class OutputHead {
 public:
  /// `table` outlives it.
  OutputHead(const LayerContext& context, VocabularyTable& table);

  void fill();
  /// From X of which this rank has the rows `local` [T/t or T, h].
  void forward(const MatrixView& local, Trace& trace);
  /// The gradient of the table, and that of the rows that this rank has of X, which it returns. The losses of
  /// all tokens are added up: each has the gradient 1.
  const MatrixView& backward(const MatrixView& local, Trace& trace);
  [[nodiscard]] const MatrixView& input_gradient() const { return entry_.gradient(); }
  void poison(Direction direction);
  /// The logits, or in training the losses.
  [[nodiscard]] Result output(std::string_view name, std::int64_t microbatch = 0) const;

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] MatrixView of_logits(const MatrixView& x) const;
  [[nodiscard]] Matrix make_numbers(std::int64_t count) const;
  // Of the microbatch that is under way,
  [[nodiscard]] MatrixView shard() const;
  [[nodiscard]] MatrixView sums() const;
  // and of any.
  [[nodiscard]] MatrixView logits(std::int64_t microbatch) const;
  [[nodiscard]] MatrixView losses(std::int64_t microbatch) const;
  void gather_logits(Trace& trace);
  void take_cross_entropy(Trace& trace);
  void reduce(const MatrixView& numbers, Reduction how, Trace& trace);

  LayerContext context_;
  VocabularyTable& table_;
  RegionEntry entry_;
  Matrix shard_;  // logits of this rank's ids; backward, their gradient: of microbatches that are in flight
  Matrix gathered_;  // rank after rank
  Matrix logits_;    // in rows, of the batch
  std::optional<TokenIdList> targets_;
  Matrix maxima_, of_targets_;
  Matrix sums_;    // as the shards
  Matrix losses_;  // of the batch
};

std::unique_ptr<Layer> make_lm_head(const LayerContext& context);

}  // namespace tpbench
