#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "workload/models.hpp"
#include "workload/shape.hpp"
#include "workload/workload.hpp"

namespace tpbench {

/// A transformer of equal layers, as far as its memory goes.
struct TransformerShape {
  std::int64_t hidden_size = 0;      ///< h
  std::int64_t ffn_hidden_size = 0;  ///< f
  std::int64_t num_heads = 0;        ///< a
  std::int64_t num_kv_heads = 0;     ///< g
  std::int64_t head_dim = 0;         ///< d; 0: h/a
  std::int64_t num_layers = 0;       ///< L
  bool gated = false;                ///< swiglu: a third matrix in the mlp
};

TransformerShape transformer_of(const Model& model);
TransformerShape transformer_of(const Shape& shape);

/// How it is trained: one microbatch of b sequences of s tokens, layers split over t ranks, p pipeline stages
/// of which each has v parts of the model.
struct TrainingSetup {
  std::int64_t sequence_length = 1;  ///< s
  std::int64_t microbatch = 1;       ///< b
  std::int64_t tp_degree = 1;        ///< t
  std::int64_t pipeline_stages = 1;  ///< p
  std::int64_t interleave = 1;       ///< v
};

/// Weights of one layer without biases and norms: 2 h a d (Q and output) + 2 h g d (K and V) + 2 or 3 h f; 12
/// h^2 where g = a, d = h/a, f = 4h and there is no gate.
std::int64_t parameters_per_layer(const TransformerShape& shape);

/// The same on one of t ranks. Key/value heads that are fewer than ranks are there several times.
std::int64_t parameters_per_layer(const TransformerShape& shape, std::int64_t tp_degree);

/// Of a parameter in mixed-precision training with Adam: 16-bit weight 2, 32-bit gradient 4, 32-bit master
/// weight 4, 32-bit first and second moment 4 + 4.
inline constexpr std::int64_t kTrainingBytesPerParameter = 18;

/// What one layer keeps for backward on one rank, in bytes; 16-bit, dropout masks of one byte (arXiv
/// 2205.05198, table 2).
double activation_bytes_per_layer(const TransformerShape& shape, const TrainingSetup& setup);
/// The same with sequence parallelism.
double activation_bytes_sequence_parallel(const TransformerShape& shape, const TrainingSetup& setup);
/// With sequence parallelism, and with the attention core recomputed in the backward pass.
double activation_bytes_selective(const TransformerShape& shape, const TrainingSetup& setup);

/// What `activation_bytes_selective` leaves out: scores of attention, their softmax and its dropout.
double score_bytes_per_layer(const TransformerShape& shape, const TrainingSetup& setup);

/// Layers whose activations the first pipeline stage holds at once: L (1 + (p - 1) / (p v)) when stages are
/// interleaved, L when they are not (same paper, section 4.2).
double layers_in_flight(const TransformerShape& shape, const TrainingSetup& setup);

/// An estimate for training a whole model, on one rank of the first stage. Not what a process allocated.
struct ModelMemory {
  std::int64_t layers = 0;
  std::int64_t parameters = 0;                       ///< of all layers, each counted once
  std::optional<std::int64_t> embedding_parameters;  ///< beside them, and in none of the bytes below
  std::int64_t parameters_per_rank = 0;              ///< of one rank's part of the layers
  std::int64_t parameters_and_optimizer_bytes = 0;
  std::int64_t activation_bytes = 0;
  std::int64_t activation_bytes_sequence_parallel = 0;
  std::int64_t activation_bytes_selective = 0;
  std::string assumptions;  ///< what the numbers hold for, in words
  std::string source;
  bool operator==(const ModelMemory&) const = default;
};

/// Empty where a number of bytes is beyond 2^53: no rank has that. The degree splits the heads and f.
std::optional<ModelMemory> estimate_model_memory(const TransformerShape& shape, const TrainingSetup& setup);

/// For a case: of `model`, whatever the workload, or without one of a block as it stands. Empty for other
/// workloads, and where tp_degree cannot split the layers. Sequences are as long as what the last token looks
/// at: context_length + sequence_length.
std::optional<ModelMemory> model_memory_of_case(const Workload& workload, const Shape& shape,
                                                const Model* model);

}  // namespace tpbench
