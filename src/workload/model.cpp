#include "workload/pieces.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Embedding, num_layers blocks, a norm, output head.
Cost model_cost(const Shape& s) {
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

}  // namespace

const Workload model_workload = {
    .name = "model",
    .summary = "embedding, num_layers blocks, norm and output head: a whole transformer",
    .kind = WorkloadKind::layer,
    .uses =
        [] {
          UsedFields uses = kOfLayers;
          uses.vocabulary = uses.logits = uses.whole_model = true;
          return uses;
        }(),
    .split = [](const Shape& s) { return block_workload.split(s); },
    .cost = model_cost,
};

}  // namespace tpbench
