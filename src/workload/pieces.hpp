#pragma once

#include <cstdint>

#include "workload/workload.hpp"

namespace tpbench {

/// Counts are whole, and what is made of them by formula need not be.
inline double as_double(std::int64_t value) { return static_cast<double>(value); }

/// What transformer layers look at, alone and in a model.
inline constexpr UsedFields kOfLayers = {.products = true,
                                         .num_layers = true,
                                         .ffn_hidden_size = true,
                                         .num_heads = true,
                                         .activation = true,
                                         .norm = true,
                                         .algorithm = true,
                                         .overlap = true};

/// What the pieces of a layer cost one rank. A workload is a sum of pieces; each adds its FLOP, collectives,
/// bytes and reduction length to `cost`. Buffers that weight sets share are counted once, the rest for each
/// of `num_layers`.

/// How often: for each microbatch, or where gradients have been summed over all of them.
enum class Often { each_microbatch, once };

/// Counts `calls` collectives more of this kind in each weight set; nothing on one rank.
void add_collective(Cost& cost, const Shape& shape, CollectiveOp op, std::int64_t bytes, std::int64_t calls,
                    Direction direction, std::int64_t ranks, Often often = Often::each_microbatch);

/// Where a region begins whose weights are split by columns: X [T/t or T, h] becomes X [T, h] on every rank;
/// backward, the partial input gradients are summed. `uses` regions of a weight set share the buffers.
void add_region_entry(Cost& cost, const Shape& shape, std::int64_t uses = 1);

/// Where a region ends whose weights are split by rows: partial sums [T, h] become Y [T/t or T, h]; backward,
/// the output gradient [T, h] is on every rank.
void add_region_exit(Cost& cost, const Shape& shape, std::int64_t uses = 1);

/// A part of a row-parallel output [T, h] that is computed, and summed over the ranks, by itself.
struct OutputPiece {
  Range rows;
  Range columns;
};

/// The pieces of an output in `overlap_chunks` parts, or the whole. By rows where each piece still has many:
/// they lie in the output where they belong. By columns otherwise, as a product loses less so, at the price
/// of a copy: a piece is summed in a place of its own.
std::vector<OutputPiece> output_pieces(const Shape& shape);
/// Whether those pieces are columns.
bool pieces_are_columns(const Shape& shape);

/// act(X A_i) B_i between entry and exit.
void add_mlp(Cost& cost, const Shape& shape);

/// Attention over this rank's heads between entry and exit.
void add_attention(Cost& cost, const Shape& shape);

/// One region by itself: X, entry, what `add_part` adds, exit.
Cost region_cost(const Shape& shape, void (*add_part)(Cost&, const Shape&));

/// Both halves of each layer, attention and mlp: entry, norm, what they compute, exit, residual. Not what
/// goes through them.
void add_halves(Cost& cost, const Shape& shape);

/// Layers of a block one after the other, with X, what goes through them and, in training, its gradient.
void add_blocks(Cost& cost, const Shape& shape);

/// What one microbatch is on rank shape.pp_rank of a pipeline, with its kept sets.
Shape stage_shape(const Shape& shape);
/// The layers of that rank, which run for each microbatch, with the whole input and the gradient that leaves
/// on the first rank and the whole output on the last.
void add_stages(Cost& cost, const Shape& shape);

/// The embedding of a vocabulary of which each rank has rows, without its output [T/t or T, h]. Of shapes
/// with one weight set, as the head is.
void add_embedding(Cost& cost, const Shape& shape);

/// The output head on X [T/t or T, h]: logits by columns, gathered, or in training their cross-entropy.
/// Weights that the embedding holds are not counted again.
void add_output_head(Cost& cost, const Shape& shape, bool has_weights);

/// `norms` normalisations over h for each weight set, of the rows that this rank holds.
void add_norms(Cost& cost, const Shape& shape, std::int64_t norms);

/// Counts work of one weight set; its calls, FLOP and bytes are multiplied by `num_layers` and repeats.
void add_work(Cost& cost, const Shape& shape, Work of_one_set);

/// `passes` over a matrix [rows, columns] in `calls` calls, each of which reads or writes it once.
void add_passes(Cost& cost, const Shape& shape, WorkKind kind, Direction direction, std::int64_t rows,
                std::int64_t columns, std::int64_t passes, std::int64_t calls = 1);

/// A linear layer's product with a weight [in, out] on T rows, and in training the two products of its
/// backward.
void add_product(Cost& cost, const Shape& shape, std::int64_t in, std::int64_t out);

/// The bytes of a matrix [rows, columns] of the shape's dtype.
inline std::int64_t matrix_bytes(const Shape& shape, std::int64_t rows, std::int64_t columns) {
  return rows * columns * shape.element_size();
}

/// Rules for the rows: they are split where sequences are.
std::vector<SplitDimension> with_rows(const Shape& shape, std::vector<SplitDimension> dimensions);

/// The part of attention that one rank of the group works on.
struct AttentionExtent {
  std::int64_t heads = 0;          ///< a/t query heads
  std::int64_t kv_heads = 0;       ///< g/t, or 1 where key/value heads are fewer than ranks
  std::int64_t kv_copies = 1;      ///< ranks that hold the same key/value head
  std::int64_t head_size = 0;      ///< d
  std::int64_t tile_rows = 0;      ///< rows of one tile of scores
  std::int64_t columns = 0;        ///< context_length + sequence_length
  bool stacks_heads = false;       ///< one new token: the heads of a key/value head are the rows of a tile
  std::int64_t tiles_at_once = 1;  ///< of as many key/value heads of a sequence, or of as many sequences
  bool at_once_are_sequences = false;

  [[nodiscard]] std::int64_t query_width() const { return heads * head_size; }
  [[nodiscard]] std::int64_t kv_width() const { return 2 * kv_heads * head_size; }
};

AttentionExtent attention_extent(const Shape& shape);

}  // namespace tpbench
