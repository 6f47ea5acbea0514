#include "workload/model_stages.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "workload/model_memory.hpp"
#include "workload/pieces.hpp"

namespace tpbench {
namespace {

constexpr std::int64_t kRegions = 2;  // of a layer: attention and mlp

// What a rank has of one microbatch, over `layers` weight sets.
Shape of_microbatch(const Shape& model, std::int64_t layers) {
  Shape s = model.of_stage();
  s.num_layers = layers;
  return s;
}

std::int64_t local_bytes(const Shape& s) { return matrix_bytes(s, s.local_tokens(), s.hidden_size); }

bool is_first(std::int64_t pp_rank) { return pp_rank == 0; }
bool is_last(const Shape& model, std::int64_t pp_rank) { return pp_rank + 1 == model.layout.pp; }

// An output head that is tied to the embedding has a copy of it where that is on another rank.
bool head_has_weights(const Shape& model) { return !model.ties_embeddings || model.layout.pp > 1; }

// Microbatches whose logits are kept: but for gpipe a backward follows its forward at once.
std::int64_t heads_kept(const Shape& model) {
  return model.trains() && model.layout.pp > 1 && model.schedule == Schedule::gpipe ? model.microbatches : 1;
}

// The layers of a stage, and of what is kept of them.
Cost layers_held(const Shape& model, Recompute recompute, std::int64_t pp_rank) {
  Shape s = of_microbatch(model, model.num_layers / model.layout.pp);
  Cost cost;
  if (!model.trains()) {
    add_halves(cost, s);
    // What goes in, what goes through the layers and what comes out of their norms; where it is sent on, the
    // next is computed meanwhile.
    cost.memory[Category::activations] += (model.layout.pp > 1 ? 4 : 3) * local_bytes(s);
    return cost;
  }
  const KeptSets microbatches = microbatches_kept(model.pipeline(), pp_rank);
  const std::int64_t layers = model.stage_layers();
  const KeptSets all = {microbatches.activations * layers, microbatches.inputs * layers,
                        microbatches.gradients * layers};
  s.kept = recompute == Recompute::full ? KeptSets{1, 1, 0} : all;
  add_halves(cost, s);
  const std::int64_t inputs =
      recompute == Recompute::full ? all.activations : 0;  // beside those of the layer in work
  cost.memory[Category::activations] +=
      local_bytes(s) * (kRegions * (s.kept->activations + s.kept->inputs) + inputs);
  if (recompute == Recompute::none) {
    const TrainingSetup setup = {
        .sequence_length = s.sequence_length, .microbatch = s.batch_size(), .tp_degree = s.layout.tp};
    cost.memory[Category::activations] += static_cast<std::int64_t>(
        score_bytes_per_layer(transformer_of(s), setup) * as_double(all.activations));
  }
  return cost;
}

// Embedding on the first stage, norm and head on the last.
void add_ends(Cost& cost, const Shape& model, std::int64_t pp_rank) {
  Shape once = of_microbatch(model, 1);
  once.kept = KeptSets{.logits = heads_kept(model)};
  if (is_first(pp_rank)) add_embedding(cost, once);
  if (!is_last(model, pp_rank)) return;
  Cost head;
  add_norms(head, once, 1);
  head.memory[Category::activations] += heads_kept(model) * local_bytes(once);
  add_output_head(head, once, head_has_weights(model));
  for (std::size_t i = 0; i < kCategoryCount; ++i) cost.memory.bytes[i] += head.memory.bytes[i];
}

std::int64_t weights_of(const MemoryByCategory& memory) {
  return memory[Category::weights] + memory[Category::replicated_weights];
}

Cost held(const Shape& model, Recompute recompute, std::int64_t pp_rank) {
  Cost cost = layers_held(model, recompute, pp_rank);
  add_ends(cost, model, pp_rank);
  return cost;
}

std::int64_t end_weights_of(const Shape& model, std::int64_t pp_rank) {
  Cost ends;
  add_ends(ends, model, pp_rank);
  return weights_of(ends.memory);
}

StageMemory trained(const Shape& model, Recompute recompute, std::int64_t pp_rank) {
  const Cost cost = held(model, recompute, pp_rank);
  const std::int64_t parameters = weights_of(cost.memory) / model.element_size();
  const bool is_short = model.element_size() < 4;
  StageMemory memory;
  memory.weights = weights_of(cost.memory);
  memory.end_weights = end_weights_of(model, pp_rank);
  memory.gradients = parameters * std::max<std::int64_t>(4, model.element_size());
  memory.optimizer = parameters * (is_short ? kTrainingBytesPerParameter - 2 - 4 : 2 * model.element_size());
  // The pieces count the gradients of weights in the element type of these.
  memory.activations =
      cost.memory[Category::activations] + cost.memory[Category::gradients] - weights_of(cost.memory);
  memory.buffers = cost.memory[Category::communication] + cost.memory[Category::workspace];
  return memory;
}

// One place to receive into and one to send from, in each direction.
std::int64_t message_bytes(const Shape& model) {
  if (model.layout.pp == 1) return 0;
  return (model.trains() ? 4 : 2) * local_bytes(of_microbatch(model, 1));
}

}  // namespace

Shape model_shape(const ModelTask& task, const ModelSplit& split, ModelPhase phase) {
  const Model& model = task.model;
  Shape s;
  const std::int64_t sequences = task.batch_size / split.layout.dp;
  s.sequence_length = phase == ModelPhase::decode ? 1 : task.sequence_length;
  s.context_length = phase == ModelPhase::decode ? task.context_length : 0;
  s.tokens = sequences * s.sequence_length;
  s.hidden_size = model.hidden_size;
  s.ffn_hidden_size = model.ffn_hidden_size;
  s.num_heads = model.num_heads;
  s.num_kv_heads = model.num_kv_heads;
  s.head_dim = model.head_dim;
  s.num_layers = model.num_layers;
  s.layout = {.tp = split.layout.tp, .pp = split.layout.pp};
  s.dtype = task.dtype;
  s.activation = model.activation;
  s.norm = model.norm;
  s.pass = phase == ModelPhase::training ? Pass::forward_backward : Pass::forward;
  s.sequence_parallel = split.sequence_parallel && phase != ModelPhase::decode;
  s.microbatches = split.microbatches;
  s.virtual_stages = split.virtual_stages;
  s.schedule = split.schedule;
  s.vocabulary = model.vocabulary;
  s.ties_embeddings = model.ties_embeddings;
  return s;
}

std::optional<std::string> why_no_split(const ModelTask& task, const ModelSplit& split) {
  if (task.batch_size % split.layout.dp != 0)
    return fmt::format("batch {} is not divisible by {} copies of the model", task.batch_size,
                       split.layout.dp);
  const Shape shape = model_shape(task, split, task.trains ? ModelPhase::training : ModelPhase::prefill);
  if (auto reason = why_impossible(block_workload, shape)) return reason;
  return why_not_divisible(block_workload, shape);
}

KeptSets microbatches_kept(const PipelineShape& shape, std::int64_t rank) {
  const std::int64_t p = shape.ranks, v = shape.virtual_stages, m = shape.microbatches;
  if (p == 1) return {1, 1, 0};
  switch (shape.schedule) {
    case Schedule::gpipe:
      return {m, m, 0};
    case Schedule::one_f_one_b:
      return {std::min(m, p - rank), std::min(m, p - rank), 0};
    case Schedule::interleaved: {
      const std::int64_t kept = std::min(m * v, 2 * (p - rank - 1) + (v - 1) * p + 1);
      return {kept, kept, 0};
    }
    case Schedule::zb_h1:
      break;
  }
  return {std::min(m, p - rank), std::min(m, p), std::min(m, rank + 1)};
}

StageMemory stage_memory(const ModelTask& task, const ModelSplit& split, std::int64_t pp_rank) {
  if (task.trains) {
    const Shape model = model_shape(task, split, ModelPhase::training);
    StageMemory memory = trained(model, split.recompute, pp_rank);
    memory.buffers += message_bytes(model);
    return memory;
  }
  const Shape prefill = model_shape(task, split, ModelPhase::prefill);
  const Cost first = held(prefill, split.recompute, pp_rank);
  const Cost next = held(model_shape(task, split, ModelPhase::decode), split.recompute, pp_rank);
  const auto buffers = [](const Cost& cost) {
    return cost.memory[Category::communication] + cost.memory[Category::workspace];
  };
  StageMemory memory;
  memory.weights = weights_of(first.memory);
  memory.end_weights = end_weights_of(prefill, pp_rank);
  memory.kv_cache = next.memory[Category::kv_cache];
  // One after the other: the larger.
  memory.activations = std::max(first.memory[Category::activations], next.memory[Category::activations]);
  memory.buffers = std::max(buffers(first), buffers(next)) + message_bytes(prefill);
  return memory;
}

Cost one_layer_cost(const Shape& of_model) {
  const Shape s = of_microbatch(of_model, 1);
  Cost cost;
  add_halves(cost, s);
  return cost;
}

Cost embedding_cost_of(const Shape& of_model) {
  const Shape s = of_microbatch(of_model, 1);
  Cost cost;
  add_embedding(cost, s);
  return cost;
}

Cost head_cost_of(const Shape& of_model) {
  const Shape s = of_microbatch(of_model, 1);
  Cost cost;
  add_norms(cost, s, 1);
  add_output_head(cost, s, true);
  return cost;
}

double stage_parameters(const ModelTask& task, const ModelSplit& split, std::int64_t pp_rank) {
  const Shape model = model_shape(task, split, task.trains ? ModelPhase::training : ModelPhase::prefill);
  return as_double(weights_of(held(model, split.recompute, pp_rank).memory)) /
         as_double(model.element_size());
}

}  // namespace tpbench
