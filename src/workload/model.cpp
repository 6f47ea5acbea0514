#include "workload/pieces.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Embedding, num_layers blocks, a norm, output head.
Cost whole_model_cost(const Shape& s) {
  Shape once = s;  // what a model has one of, whatever its number of layers
  once.num_layers = 1;
  Cost cost;
  cost.reduction_length = 0;
  add_blocks(cost, s);
  add_embedding(cost, once);
  add_norms(cost, once, 1);
  cost.memory[Category::activations] += matrix_bytes(s, s.local_tokens(), s.hidden_size);  // normed
  add_output_head(cost, once, !s.ties_embeddings);
  ++cost.chained_layers;
  return cost;
}

// The same over stages: the embedding is on the first rank, norm and head on the last. Weights that are tied
// are on both.
Cost staged_model_cost(const Shape& whole) {
  Shape once = stage_shape(whole);
  once.num_layers = 1;
  const std::int64_t kept = once.kept_sets().logits;
  const bool is_one = whole.layout.pp == 1;
  const bool is_first = whole.pp_rank == 0, is_last = whole.pp_rank + 1 == whole.layout.pp;
  const std::int64_t table = matrix_bytes(whole, whole.vocabulary_rows(), whole.hidden_size);
  Cost cost;
  add_stages(cost, whole);
  if (is_first) add_embedding(cost, once);
  if (whole.exchanges_tied_gradient() && (is_first || is_last)) cost.memory[Category::communication] += table;
  if (whole.parts_tied_gradient() && is_one) cost.memory[Category::gradients] += table;
  if (is_last) {
    add_norms(cost, once, 1);
    cost.memory[Category::activations] += kept * matrix_bytes(once, once.local_tokens(), once.hidden_size);
    add_output_head(cost, once, !(whole.ties_embeddings && is_one));
    const std::int64_t norm_rows = whole.norm == Norm::layer_norm ? 2 : 1;
    if (whole.trains())  // of one microbatch
      cost.memory[Category::gradients] += matrix_bytes(whole, norm_rows, whole.hidden_size);
  }
  Shape unpiped = whole;
  unpiped.layout.pp = unpiped.microbatches = 1;
  const Cost of_whole = whole_model_cost(unpiped);
  cost.reduction_length = of_whole.reduction_length;
  cost.chained_layers = of_whole.chained_layers;
  return cost;
}

Cost model_cost(const Shape& s) { return s.has_microbatches() ? staged_model_cost(s) : whole_model_cost(s); }

}  // namespace

const Workload model_workload = {
    .name = "model",
    .summary = "embedding, num_layers blocks, norm and output head: a whole transformer",
    .kind = WorkloadKind::layer,
    .uses =
        [] {
          UsedFields uses = kOfLayers;
          uses.vocabulary = uses.logits = uses.whole_model = uses.stages = true;
          return uses;
        }(),
    .split = [](const Shape& s) { return block_workload.split(s); },
    .cost = model_cost,
};

}  // namespace tpbench
