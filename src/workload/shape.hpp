#pragma once

#include <algorithm>
#include <cstdint>

#include "base/dtype.hpp"
#include "base/enum_names.hpp"
#include "workload/layout.hpp"
#include "workload/partition.hpp"

namespace tpbench {

enum class Activation { gelu, swiglu };
enum class Combine { all_gather, all_reduce };
enum class Norm { layer_norm, rms_norm };
enum class Pass { forward, forward_backward };
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
  std::int64_t vocabulary = 0;      ///< V: ids that tokens have
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
  /// Rows of a [T, h] tensor that one rank holds outside of the sharded layers: T, or T/t.
  [[nodiscard]] std::int64_t local_tokens() const { return splits_rows() ? tokens / layout.tp : tokens; }
  /// Rows of the vocabulary on each rank, with those that make it divisible: V/t, rounded up.
  [[nodiscard]] std::int64_t vocabulary_rows() const { return (vocabulary + layout.tp - 1) / layout.tp; }
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
TPBENCH_ENUM_NAMES(tpbench::Pass, {tpbench::Pass::forward, "forward"},
                   {tpbench::Pass::forward_backward, "forward_backward"});
