#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/dtype.hpp"
#include "base/enum_names.hpp"
#include "workload/layout.hpp"
#include "workload/partition.hpp"
#include "workload/schedule.hpp"

namespace tpbench {

enum class Activation { gelu, swiglu };
enum class Combine { all_gather, all_reduce };
enum class Norm { layer_norm, rms_norm };
enum class Pass { forward, forward_backward };
/// What each rank that shares a layer sends to the next stage of a pipeline: all of the activations, or its
/// part of their rows, which the receivers gather.
enum class Boundary { whole, scattered };

/// Of how many weight sets a rank keeps at one time what backward needs.
struct KeptSets {
  std::int64_t activations = 1;  ///< from forward to the gradient of the input
  std::int64_t inputs = 1;       ///< of products with weights: until the gradient of the weights
  std::int64_t gradients = 0;  ///< of their outputs, where gradients of weights come later; 0: of one, shared
  std::int64_t logits = 1;     ///< microbatches whose logits are kept, behind the last stage of a model
};
/// Whose logits a forward pass is for: those of the last token of each sequence, or of all.
enum class Logits { last, all };

/// All that the arithmetic of a layer depends on; what it does not use is 0.
struct Shape {
  std::int64_t tokens = 0;           ///< T = batch size x sequence length
  std::int64_t sequence_length = 1;  ///< s: rows of a sequence, one after the other
  std::int64_t context_length = 0;   ///< earlier tokens of each sequence, whose keys and values are kept
  std::int64_t hidden_size = 0;      ///< h
  std::int64_t ffn_hidden_size = 0;  ///< f
  std::int64_t num_heads = 0;        ///< a
  std::int64_t num_kv_heads = 0;     ///< g
  std::int64_t head_dim = 0;         ///< d; 0: h/a
  std::int64_t num_layers = 1;       ///< distinct weight sets, run one after the other in a step
  Layout layout = {};                ///< layout.tp is t
  DType dtype = DType::f32;
  Activation activation = Activation::gelu;
  Norm norm = Norm::layer_norm;
  Combine combine = Combine::all_gather;
  Pass pass = Pass::forward;
  bool sequence_parallel = false;
  std::int64_t scores_bytes = 0;    ///< of attention, in work at one time; at least those of one tile
  std::int64_t overlap_chunks = 1;  ///< pieces of a row-parallel output whose sums overlap with compute
  std::int64_t microbatches = 1;    ///< m: equal parts of the batch, run one after the other
  std::int64_t virtual_stages = 1;  ///< v: stages of a pipeline that one rank holds
  Schedule schedule = Schedule::one_f_one_b;
  Boundary boundary = Boundary::whole;
  std::int64_t pp_rank = 0;  ///< of a pipeline's costs: the rank that they are meant for

  /// Set by `of_stage`: how often a step runs this shape, each time with a key/value cache of its own.
  std::int64_t repeats = 1;
  std::optional<KeptSets> kept = {};  ///< of weight sets; empty: of each, and in a forward pass of one
  std::int64_t vocabulary = 0;        ///< V: ids that tokens have
  Logits logits = Logits::last;
  bool ties_embeddings = false;  ///< the output head has the weights of the embedding
  bool is_scaled = false;        ///< results are composed from fewer layers

  [[nodiscard]] std::int64_t element_size() const { return size_of(dtype); }
  [[nodiscard]] std::int64_t batch_size() const { return tokens / sequence_length; }
  /// d: elements of one head's queries, keys and values.
  [[nodiscard]] std::int64_t head_size() const {
    if (head_dim != 0) return head_dim;
    return num_heads == 0 ? 0 : hidden_size / num_heads;
  }
  /// a d: columns of the queries of all heads, and rows of the output projection. h, unless d is not h/a.
  [[nodiscard]] std::int64_t query_width() const { return num_heads * head_size(); }
  [[nodiscard]] bool gated() const { return activation == Activation::swiglu; }
  [[nodiscard]] bool trains() const { return pass == Pass::forward_backward; }
  /// The sum of one piece of an output goes on while the next piece is computed. On one rank there is none.
  [[nodiscard]] bool overlaps() const { return overlap_chunks > 1 && layout.tp > 1; }
  /// Rows are split over the group outside of the sharded layers. On one rank there is nothing to split.
  [[nodiscard]] bool splits_rows() const { return sequence_parallel && layout.tp > 1; }
  /// The batch goes through in parts, over stages or on one.
  [[nodiscard]] bool has_microbatches() const { return layout.pp > 1 || microbatches > 1; }
  /// One stage runs forward and backward of each microbatch in turn.
  [[nodiscard]] PipelineShape pipeline() const {
    if (layout.pp == 1) return {.microbatches = microbatches, .trains = trains()};
    return {layout.pp, virtual_stages, microbatches, schedule, trains()};
  }
  /// Consecutive weight sets of one stage: L/(p v).
  [[nodiscard]] std::int64_t stage_layers() const { return num_layers / pipeline().stages(); }
  /// What a rank of a pipeline runs for one microbatch, over all weight sets that it holds. `kept` is to be
  /// set.
  [[nodiscard]] Shape of_stage() const {
    Shape stage = *this;
    stage.tokens = tokens / microbatches;
    stage.num_layers = num_layers / layout.pp;
    stage.layout = {.tp = layout.tp};
    stage.repeats = microbatches;
    stage.microbatches = stage.virtual_stages = 1;
    return stage;
  }
  /// Each rank sends its part of the rows, and the receivers gather them.
  [[nodiscard]] bool scatters_boundary() const {
    return boundary == Boundary::scattered && layout.pp > 1 && layout.tp > 1 && !sequence_parallel;
  }
  /// Elements of one message of a rank.
  [[nodiscard]] std::int64_t boundary_elements() const {
    const std::int64_t rows = tokens / microbatches;
    return (splits_rows() || scatters_boundary() ? rows / layout.tp : rows) * hidden_size;
  }
  /// Weight sets of which a rank keeps at one time what backward needs.
  [[nodiscard]] KeptSets kept_sets() const {
    return kept ? *kept : KeptSets{trains() ? num_layers : 1, trains() ? num_layers : 1, 0};
  }
  /// Rows of a [T, h] tensor that one rank holds outside of the sharded layers: T, or T/t.
  [[nodiscard]] std::int64_t local_tokens() const { return splits_rows() ? tokens / layout.tp : tokens; }
  /// Rows of the vocabulary on each rank, with those that make it divisible: V/t, rounded up.
  [[nodiscard]] std::int64_t vocabulary_rows() const { return (vocabulary + layout.tp - 1) / layout.tp; }
  /// Embedding and head have one weight, and each its part of the gradient until the end of a step: where
  /// microbatches go through, so that the sum is the same on any number of stages.
  [[nodiscard]] bool parts_tied_gradient() const { return ties_embeddings && trains() && has_microbatches(); }
  /// The parts are on two ranks, which send each other theirs.
  [[nodiscard]] bool exchanges_tied_gradient() const { return parts_tied_gradient() && layout.pp > 1; }
  /// Of each rank's part of it.
  [[nodiscard]] std::int64_t exchanged_bytes() const {
    return vocabulary_rows() * hidden_size * element_size();
  }
  /// V with the rows that no token has.
  [[nodiscard]] std::int64_t padded_vocabulary() const { return vocabulary_rows() * layout.tp; }
  /// The ids among a rank's rows, which come first; a last rank may have none.
  [[nodiscard]] Range held_vocabulary(std::int64_t rank) const {
    return {std::min(vocabulary, rank * vocabulary_rows()),
            std::min(vocabulary, (rank + 1) * vocabulary_rows())};
  }
  /// Rows of logits: training wants all.
  [[nodiscard]] std::int64_t logit_rows() const {
    return trains() || logits == Logits::all ? tokens : batch_size();
  }
  /// What there is one of for each row of logits is kept in: exponentials of a whole vocabulary are beyond
  /// f16.
  [[nodiscard]] DType number_dtype() const { return dtype == DType::f64 ? DType::f64 : DType::f32; }
};

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Activation, {tpbench::Activation::gelu, "gelu"},
                   {tpbench::Activation::swiglu, "swiglu"});
TPBENCH_ENUM_NAMES(tpbench::Combine, {tpbench::Combine::all_gather, "all_gather"},
                   {tpbench::Combine::all_reduce, "all_reduce"});
TPBENCH_ENUM_NAMES(tpbench::Logits, {tpbench::Logits::last, "last"}, {tpbench::Logits::all, "all"});
TPBENCH_ENUM_NAMES(tpbench::Norm, {tpbench::Norm::layer_norm, "layer_norm"},
                   {tpbench::Norm::rms_norm, "rms_norm"});
TPBENCH_ENUM_NAMES(tpbench::Boundary, {tpbench::Boundary::whole, "whole"},
                   {tpbench::Boundary::scattered, "scattered"});
TPBENCH_ENUM_NAMES(tpbench::Pass, {tpbench::Pass::forward, "forward"},
                   {tpbench::Pass::forward_backward, "forward_backward"});
