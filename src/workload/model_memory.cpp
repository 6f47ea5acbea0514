#include "workload/model_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "workload/pieces.hpp"

namespace tpbench {
namespace {

// 5as: scores, their softmax and its dropout.
double score_bytes(const TransformerShape& shape, const TrainingSetup& setup) {
  return 5.0 * as_double(shape.num_heads) * as_double(setup.sequence_length);
}

// `bytes` for each token over the whole group are s b bytes / t on a rank; divided last, so that it is exact.
double on_rank(const TrainingSetup& setup, double bytes) {
  return as_double(setup.sequence_length) * as_double(setup.microbatch) * bytes / as_double(setup.tp_degree);
}

bool is_gpt(const TransformerShape& shape) {
  return shape.ffn_hidden_size == 4 * shape.hidden_size && !shape.gated &&
         shape.num_kv_heads == shape.num_heads;
}

std::string assumptions_of(const TransformerShape& shape, const TrainingSetup& setup) {
  std::string text = fmt::format(
      "training of all {} layers by tensor parallelism of degree {}; microbatch of {} x {} tokens; {} "
      "pipeline stage{}{}; 16-bit activations; mixed precision with Adam at {} bytes a parameter (weight 2, "
      "gradient 4, master weight 4, moments 8); the parameters of embeddings, "
      "norms and biases are not counted",
      shape.num_layers, setup.tp_degree, setup.microbatch, setup.sequence_length, setup.pipeline_stages,
      setup.pipeline_stages == 1 ? "" : "s",
      setup.interleave == 1 ? "" : fmt::format(" of {} parts each", setup.interleave),
      kTrainingBytesPerParameter);
  if (is_gpt(shape)) return text;
  return text + fmt::format(
                    "; the activations are those of a GPT layer, which counts f = 4h, no gate and as many "
                    "key/value heads as heads: this layer has f = {:.4g}h, {} gate and {} key/value heads of "
                    "{}",
                    as_double(shape.ffn_hidden_size) / as_double(shape.hidden_size), shape.gated ? "a" : "no",
                    shape.num_kv_heads, shape.num_heads);
}

// Where the heads and f of a model can be split over the ranks of the shape.
bool can_split(const TransformerShape& model, std::int64_t tp_degree) {
  const Shape block = {.tokens = 1,
                       .hidden_size = model.hidden_size,
                       .ffn_hidden_size = model.ffn_hidden_size,
                       .num_heads = model.num_heads,
                       .num_kv_heads = model.num_kv_heads,
                       .head_dim = model.head_dim,
                       .layout = {.tp = tp_degree}};
  return !why_impossible(block_workload, block) && !why_not_divisible(block_workload, block);
}

}  // namespace

TransformerShape transformer_of(const Model& model) {
  return {.hidden_size = model.hidden_size,
          .ffn_hidden_size = model.ffn_hidden_size,
          .num_heads = model.num_heads,
          .num_kv_heads = model.num_kv_heads,
          .head_dim = model.head_dim,
          .num_layers = model.num_layers,
          .gated = model.activation == Activation::swiglu};
}

TransformerShape transformer_of(const Shape& shape) {
  return {.hidden_size = shape.hidden_size,
          .ffn_hidden_size = shape.ffn_hidden_size,
          .num_heads = shape.num_heads,
          .num_kv_heads = shape.num_kv_heads,
          .head_dim = shape.head_dim,
          .num_layers = shape.num_layers,
          .gated = shape.gated()};
}

std::int64_t parameters_per_layer(const TransformerShape& shape) { return parameters_per_layer(shape, 1); }

std::int64_t parameters_per_layer(const TransformerShape& shape, std::int64_t tp_degree) {
  const std::int64_t h = shape.hidden_size;
  const std::int64_t head_size = shape.head_dim != 0 ? shape.head_dim : h / shape.num_heads;
  const std::int64_t kv_heads = std::max<std::int64_t>(1, shape.num_kv_heads / tp_degree);
  const std::int64_t attention =
      2 * h * (shape.num_heads * head_size / tp_degree) + 2 * h * kv_heads * head_size;
  return attention + (shape.gated ? 3 : 2) * h * (shape.ffn_hidden_size / tp_degree);
}

// sbh (10 + 24/t + 5as/(ht)): norms, residuals and dropouts outside of the split are there on every rank.
double activation_bytes_per_layer(const TransformerShape& shape, const TrainingSetup& setup) {
  const double h = as_double(shape.hidden_size);
  return on_rank(setup, 10 * as_double(setup.tp_degree) * h + 24 * h + score_bytes(shape, setup));
}

// sbh/t (34 + 5as/h)
double activation_bytes_sequence_parallel(const TransformerShape& shape, const TrainingSetup& setup) {
  return on_rank(setup, 34 * as_double(shape.hidden_size) + score_bytes(shape, setup));
}

// sbh/t 34
double activation_bytes_selective(const TransformerShape& shape, const TrainingSetup& setup) {
  return on_rank(setup, 34 * as_double(shape.hidden_size));
}

// sb 5as/t
double score_bytes_per_layer(const TransformerShape& shape, const TrainingSetup& setup) {
  return on_rank(setup, score_bytes(shape, setup));
}

double layers_in_flight(const TransformerShape& shape, const TrainingSetup& setup) {
  const double layers = as_double(shape.num_layers);
  if (setup.interleave == 1) return layers;  // p microbatches of L/p layers
  const double stages = as_double(setup.pipeline_stages);
  return layers * (1 + (stages - 1) / (stages * as_double(setup.interleave)));
}

std::optional<ModelMemory> estimate_model_memory(const TransformerShape& shape, const TrainingSetup& setup) {
  constexpr double kLargestExact = 9007199254740992.0;  // 2^53
  const double in_flight = layers_in_flight(shape, setup);
  const double plain = in_flight * activation_bytes_per_layer(shape, setup);
  const double sequence_parallel = in_flight * activation_bytes_sequence_parallel(shape, setup);
  const double selective = in_flight * activation_bytes_selective(shape, setup);
  const double parameters = as_double(parameters_per_layer(shape, setup.tp_degree)) *
                            as_double(shape.num_layers) / as_double(setup.pipeline_stages);
  // The plain estimate is the largest of the three.
  if (std::max(plain, parameters * as_double(kTrainingBytesPerParameter)) > kLargestExact)
    return std::nullopt;

  const auto whole = [](double value) { return static_cast<std::int64_t>(std::ceil(value)); };
  ModelMemory memory;
  memory.layers = shape.num_layers;
  memory.parameters = shape.num_layers * parameters_per_layer(shape);
  memory.parameters_per_rank = whole(parameters);
  memory.parameters_and_optimizer_bytes = kTrainingBytesPerParameter * memory.parameters_per_rank;
  memory.activation_bytes = whole(plain);
  memory.activation_bytes_sequence_parallel = whole(sequence_parallel);
  memory.activation_bytes_selective = whole(selective);
  memory.assumptions = assumptions_of(shape, setup);
  memory.source = "arXiv 2205.05198";
  return memory;
}

std::optional<ModelMemory> model_memory_of_case(const Workload& workload, const Shape& shape,
                                                const Model* model) {
  if (model == nullptr && !workload.uses.norm) return std::nullopt;  // no whole layers
  const TransformerShape transformer = model == nullptr ? transformer_of(shape) : transformer_of(*model);
  if (!can_split(transformer, shape.layout.tp)) return std::nullopt;
  std::optional<ModelMemory> memory =
      estimate_model_memory(transformer, {.sequence_length = shape.context_length + shape.sequence_length,
                                          .microbatch = shape.batch_size(),
                                          .tp_degree = shape.layout.tp});
  if (memory && model != nullptr) {
    memory->embedding_parameters = (model->ties_embeddings ? 1 : 2) * model->vocabulary * model->hidden_size;
  }
  return memory;
}

}  // namespace tpbench
