#pragma once

#include <memory>

#include "layers/region.hpp"
#include "layers/vocabulary.hpp"

namespace tpbench {

/// The embedding of a vocabulary that is split over the ranks (Megatron-LM's VocabParallelEmbedding, arXiv
/// 1909.08053): each looks up the tokens that it holds, and the sum over the ranks is the output. In a model
/// it is what stands before the blocks.
class Embedding {
 public:
  /// `table` outlives it.
  Embedding(const LayerContext& context, VocabularyTable& table);

  void fill() { ids_.fill(); }
  /// Leaves the rows that this rank holds in `local` [T/t or T, h].
  void forward(const MatrixView& local, Trace& trace);
  /// The gradient of the table from that of `local`; or adds it to what the output head has left there.
  void backward(const MatrixView& local_gradient, Store store, Trace& trace);
  void poison(Direction direction);

 private:
  LayerContext context_;
  VocabularyTable& table_;
  TokenIdList ids_;
  Matrix whole_;  // where rows are split
};

std::unique_ptr<Layer> make_embedding(const LayerContext& context);

}  // namespace tpbench
