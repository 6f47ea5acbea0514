#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/enum_names.hpp"
#include "workload/models.hpp"
#include "workload/shape.hpp"
#include "workload/workload.hpp"

// A whole model on its ranks: what a stage of it holds, and what one of its layers and its ends cost. All of
// it is a sum of the pieces of the layers (workload/pieces.hpp).
namespace tpbench {

/// What a rank does with a model at one time.
///   training  forward and backward of every microbatch
///   prefill   forward of whole sequences, which leaves their keys and values
///   decode    forward of one token more for each sequence
enum class ModelPhase { training, prefill, decode };

/// What of a layer is computed a second time in the backward pass and not kept (arXiv 2205.05198).
///   none       everything is kept, the scores of attention too
///   selective  the attention core, whose scores are most of what a layer keeps
///   full       the whole layer: its input alone is kept
enum class Recompute { none, selective, full };

/// What is to be done with a model, over all copies of it.
struct ModelTask {
  Model model;
  DType dtype = DType::bf16;
  bool trains = false;
  std::int64_t batch_size = 1;       ///< sequences
  std::int64_t sequence_length = 1;  ///< tokens of each: of a prompt, or trained on
  std::int64_t context_length = 1;   ///< earlier tokens of each when one more is made; not of training
};

/// How its ranks share it.
struct ModelSplit {
  Layout layout;
  std::int64_t microbatches = 1;    ///< of the sequences of one copy
  std::int64_t virtual_stages = 1;  ///< v
  Schedule schedule = Schedule::one_f_one_b;
  bool sequence_parallel = false;
  Recompute recompute = Recompute::selective;
};

/// Bytes that one rank holds. Not what a library or a driver takes for itself.
struct StageMemory {
  std::int64_t weights = 0;
  std::int64_t end_weights = 0;  ///< of them: embedding, last norm and output head
  std::int64_t gradients = 0;    ///< of the weights, 32 bits each (f64: 64)
  std::int64_t optimizer = 0;    ///< Adam: both moments, and of 16-bit weights a 32-bit master copy
  std::int64_t kv_cache = 0;
  std::int64_t activations = 0;  ///< in flight, with the gradients in work
  std::int64_t buffers = 0;      ///< of collectives, messages and scores in work
  [[nodiscard]] std::int64_t total() const {
    return weights + gradients + optimizer + kv_cache + activations + buffers;
  }
};

/// The shape of one copy of the model in a phase: all of its layers and of its batch.
Shape model_shape(const ModelTask& task, const ModelSplit& split, ModelPhase phase);

/// Why a model cannot be split so, with the nearest that would do; empty when it can.
std::optional<std::string> why_no_split(const ModelTask& task, const ModelSplit& split);

/// What is kept at one time by rank `rank` of a pipeline, in microbatches of one of its stages: the places of
/// its plan (workload/pipeline_plan.hpp), by formula.
KeptSets microbatches_kept(const PipelineShape& shape, std::int64_t rank);

/// What rank `pp_rank` holds, of the shards that are largest. The split is possible.
StageMemory stage_memory(const ModelTask& task, const ModelSplit& split, std::int64_t pp_rank);

/// One layer on the microbatches of a step, on one rank: work, collectives, FLOP.
Cost one_layer_cost(const Shape& of_model);
/// Looking up the embedding of their tokens, and its gradient.
Cost embedding_cost_of(const Shape& of_model);
/// The last norm and the output head on them; in training, its cross-entropy.
Cost head_cost_of(const Shape& of_model);

/// Parameters on one rank of a stage: its layers, and what of the ends it has, each with its padding.
double stage_parameters(const ModelTask& task, const ModelSplit& split, std::int64_t pp_rank);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Recompute, {tpbench::Recompute::none, "none"},
                   {tpbench::Recompute::selective, "selective"}, {tpbench::Recompute::full, "full"});
