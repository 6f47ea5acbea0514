#include "workload/pieces.hpp"

#include <algorithm>

namespace tpbench {
namespace {

// Scores are made in tiles of this many rows: small enough to stay in a cache, and what lies above the
// diagonal of causal attention is skipped in steps of it.
constexpr std::int64_t kTileRows = 256;

// A batch of more than 65535 products has no algorithm in cuBLASLt.
constexpr std::int64_t kMostTiles = 32768;

// Columns summed over the rows of one head and one sequence: each tile goes as far as its last row may look.
std::int64_t scores_per_head(const Shape& s, const AttentionExtent& extent) {
  if (extent.stacks_heads) return extent.columns;
  std::int64_t scores = 0;
  for (std::int64_t first = 0; first < s.sequence_length; first += extent.tile_rows) {
    const std::int64_t last = std::min(first + extent.tile_rows, s.sequence_length);
    scores += (last - first) * (s.context_length + last);
  }
  return scores;
}

}  // namespace

void add_collective(Cost& cost, const Shape& shape, CollectiveOp op, std::int64_t bytes, std::int64_t calls,
                    Direction direction, std::int64_t ranks, Often often) {
  const std::int64_t repeats = often == Often::once ? 1 : shape.repeats;
  const std::int64_t per_step = ranks > 1 ? calls * shape.num_layers * repeats : 0;
  const auto known = std::find_if(cost.collectives.begin(), cost.collectives.end(), [&](const auto& other) {
    return other.op == op && other.bytes == bytes && other.direction == direction && other.ranks == ranks;
  });
  if (known != cost.collectives.end()) {
    known->calls_per_step += per_step;
  } else {
    cost.collectives.push_back({op, bytes, per_step, direction, ranks});
  }
}

void add_region_entry(Cost& cost, const Shape& s, std::int64_t uses) {
  const std::int64_t whole = matrix_bytes(s, s.tokens, s.hidden_size);
  if (s.splits_rows()) {
    cost.memory[Category::communication] += whole;  // X, gathered
    add_collective(cost, s, CollectiveOp::all_gather, whole, uses, Direction::forward, s.layout.tp);
  }
  if (!s.trains()) return;
  if (s.splits_rows()) {
    // X is kept in shards and gathered a second time; the partial gradients leave it in shards.
    cost.memory[Category::communication] += whole;
    cost.memory[Category::gradients] += matrix_bytes(s, s.local_tokens(), s.hidden_size);
    add_collective(cost, s, CollectiveOp::all_gather, whole, uses, Direction::backward, s.layout.tp);
    add_collective(cost, s, CollectiveOp::reduce_scatter, whole, uses, Direction::backward, s.layout.tp);
  } else {
    cost.memory[Category::gradients] += whole;
    add_collective(cost, s, CollectiveOp::all_reduce, whole, uses, Direction::backward, s.layout.tp);
  }
}

bool pieces_are_columns(const Shape& s) {
  constexpr std::int64_t kManyRows = 512;
  return s.overlap_chunks > 1 && s.tokens / s.overlap_chunks < kManyRows;
}

std::vector<OutputPiece> output_pieces(const Shape& s) {
  const Range rows = {0, s.tokens}, columns = {0, s.hidden_size};
  const bool by_columns = pieces_are_columns(s);
  const std::int64_t extent = by_columns ? s.hidden_size : s.tokens;
  const std::int64_t count = std::min(s.overlap_chunks, extent);
  std::vector<OutputPiece> pieces;
  for (std::int64_t i = 0; i < count; ++i) {
    const Range part = {i * extent / count, (i + 1) * extent / count};
    pieces.push_back(by_columns ? OutputPiece{rows, part} : OutputPiece{part, columns});
  }
  return pieces;
}

void add_region_exit(Cost& cost, const Shape& s, std::int64_t uses) {
  const std::int64_t whole = matrix_bytes(s, s.tokens, s.hidden_size);
  const std::int64_t local = matrix_bytes(s, s.local_tokens(), s.hidden_size);
  cost.memory[Category::activations] += local;
  if (s.splits_rows()) {
    cost.memory[Category::communication] += whole;  // the partial sums; backward, the gathered gradient
    add_collective(cost, s, CollectiveOp::reduce_scatter, whole, uses, Direction::forward, s.layout.tp);
  } else {
    for (const OutputPiece& piece : output_pieces(s)) {
      const std::int64_t bytes = matrix_bytes(s, piece.rows.size(), piece.columns.size());
      add_collective(cost, s, CollectiveOp::all_reduce, bytes, uses, Direction::forward, s.layout.tp);
    }
    if (s.overlaps() && pieces_are_columns(s)) cost.memory[Category::communication] += whole;
  }
  if (!s.trains()) return;
  cost.memory[Category::gradients] += local;
  if (s.splits_rows())
    add_collective(cost, s, CollectiveOp::all_gather, whole, uses, Direction::backward, s.layout.tp);
}

void add_work(Cost& cost, const Shape& s, Work added) {
  for (double* of_all : {&added.calls, &added.flop, &added.bytes})
    *of_all *= as_double(s.num_layers * s.repeats);
  (added.direction == Direction::forward ? cost.flop_forward : cost.flop_backward) += added.flop;
  const auto known = std::find_if(cost.work.begin(), cost.work.end(), [&](const Work& other) {
    return other.kind == added.kind && other.direction == added.direction && other.tokens == added.tokens &&
           other.in == added.in && other.out == added.out;
  });
  if (known == cost.work.end()) return cost.work.push_back(added);
  known->calls += added.calls;
  known->flop += added.flop;
  known->bytes += added.bytes;
}

void add_passes(Cost& cost, const Shape& s, WorkKind kind, Direction direction, std::int64_t rows,
                std::int64_t columns, std::int64_t passes, std::int64_t calls) {
  add_work(cost, s,
           {kind, direction, rows, columns, columns, as_double(calls), 0,
            as_double(passes * matrix_bytes(s, rows, columns))});
}

void add_product(Cost& cost, const Shape& s, std::int64_t in, std::int64_t out) {
  const double flop = 2.0 * as_double(s.tokens) * as_double(in) * as_double(out);
  const double bytes =
      as_double(matrix_bytes(s, s.tokens, in) + matrix_bytes(s, in, out) + matrix_bytes(s, s.tokens, out));
  add_work(cost, s, {WorkKind::product, Direction::forward, s.tokens, in, out, 1, flop, bytes});
  if (!s.trains()) return;
  // dX = dY W^T and dW = X^T dY
  for (const WorkKind kind : {WorkKind::product_input_gradient, WorkKind::product_weight_gradient})
    add_work(cost, s, {kind, Direction::backward, s.tokens, in, out, 1, flop, bytes});
}

void add_mlp(Cost& cost, const Shape& s) {
  const std::int64_t h = s.hidden_size, f = s.ffn_hidden_size / s.layout.tp;
  const std::int64_t wide = s.gated() ? 2 * f : f;  // gate and up side by side
  add_product(cost, s, h, wide);
  add_product(cost, s, f, h);
  const std::int64_t weights = s.num_layers * (matrix_bytes(s, h, wide) + matrix_bytes(s, f, h));
  cost.memory[Category::weights] += weights;
  cost.reduction_length += h + s.ffn_hidden_size;
  // Reads H [T, wide], writes [T, f]; backward reads both and writes the gradient of H.
  add_passes(cost, s, WorkKind::activation, Direction::forward, s.tokens, f, s.gated() ? 3 : 2);
  if (s.trains())
    add_passes(cost, s, WorkKind::activation, Direction::backward, s.tokens, f, s.gated() ? 5 : 3);
  if (!s.trains()) {
    cost.memory[Category::activations] += matrix_bytes(s, s.tokens, wide);  // activated where it stands
    return;
  }
  // Kept for backward: what goes into the activation and what comes out of it.
  const KeptSets sets = s.kept_sets();
  cost.memory[Category::activations] +=
      sets.activations * matrix_bytes(s, s.tokens, wide) + sets.inputs * matrix_bytes(s, s.tokens, f);
  cost.memory[Category::gradients] +=
      weights + std::max<std::int64_t>(1, sets.gradients) * matrix_bytes(s, s.tokens, wide);
  cost.reduction_length += s.ffn_hidden_size + h + s.tokens;
}

AttentionExtent attention_extent(const Shape& s) {
  AttentionExtent extent;
  extent.heads = s.num_heads / s.layout.tp;
  extent.kv_heads = std::max<std::int64_t>(1, s.num_kv_heads / s.layout.tp);
  extent.kv_copies = std::max<std::int64_t>(1, s.layout.tp / s.num_kv_heads);
  extent.head_size = s.head_size();
  extent.columns = s.context_length + s.sequence_length;
  extent.stacks_heads = s.sequence_length == 1;
  extent.tile_rows =
      extent.stacks_heads ? extent.heads / extent.kv_heads : std::min(kTileRows, s.sequence_length);
  extent.at_once_are_sequences = s.batch_size() > extent.kv_heads;
  const std::int64_t tile_bytes = matrix_bytes(s, extent.tile_rows, extent.columns);
  extent.tiles_at_once =
      std::clamp<std::int64_t>(s.scores_bytes / std::max<std::int64_t>(1, tile_bytes), 1,
                               std::min(kMostTiles, std::max(s.batch_size(), extent.kv_heads)));
  return extent;
}

namespace {

// Q K^T and P V of each head; backward makes the scores anew and has four products of the same size more.
// Keys and values are read by each tile, backward with their gradients beside them.
void add_scores(Cost& cost, const Shape& s, const AttentionExtent& extent) {
  const double scores = 2.0 * as_double(s.batch_size()) * as_double(extent.heads) *
                        as_double(scores_per_head(s, extent)) * as_double(extent.head_size);
  const std::int64_t tiles = (s.sequence_length + extent.tile_rows - 1) / extent.tile_rows;
  const std::int64_t of_rows = extent.stacks_heads ? 1 : extent.heads / extent.kv_heads * tiles;
  const std::int64_t outer = extent.at_once_are_sequences ? extent.kv_heads : s.batch_size();
  const std::int64_t inner = extent.at_once_are_sequences ? s.batch_size() : extent.kv_heads;
  const double visits =
      as_double(outer * ((inner + extent.tiles_at_once - 1) / extent.tiles_at_once) * of_rows);
  const double columns_read = extent.stacks_heads ? as_double(extent.kv_heads * extent.columns)
                                                  : as_double(scores_per_head(s, extent)) /
                                                        as_double(extent.tile_rows) * as_double(extent.heads);
  const double keys = as_double(2 * s.batch_size() * extent.head_size * s.element_size()) * columns_read;
  const double queries = as_double(2 * matrix_bytes(s, s.tokens, extent.query_width()));
  const auto work = [&](WorkKind kind, Direction direction, double products) {
    return Work{kind,
                direction,
                s.sequence_length,
                extent.columns,
                extent.query_width(),
                visits,
                products * scores,
                products / 2 * (keys + queries)};
  };
  add_work(cost, s, work(WorkKind::attention, Direction::forward, 2));
  if (s.trains()) add_work(cost, s, work(WorkKind::attention_backward, Direction::backward, 5));
  if (s.context_length > 0)
    add_passes(cost, s, WorkKind::elementwise, Direction::forward, s.tokens, extent.kv_width(), 2,
               s.sequence_length == 1 ? 2 * extent.kv_heads : 2 * s.batch_size() * extent.kv_heads);
}

}  // namespace

void add_attention(Cost& cost, const Shape& s) {
  const AttentionExtent extent = attention_extent(s);
  const std::int64_t h = s.hidden_size, width = extent.query_width() + extent.kv_width();
  add_product(cost, s, h, extent.query_width());
  add_product(cost, s, h, extent.kv_width());
  add_product(cost, s, extent.query_width(), h);
  add_scores(cost, s, extent);

  const std::int64_t own = s.num_layers * 2 * matrix_bytes(s, h, extent.query_width());
  const std::int64_t keys_and_values = s.num_layers * matrix_bytes(s, h, extent.kv_width());
  cost.memory[Category::weights] += own;
  cost.memory[extent.kv_copies > 1 ? Category::replicated_weights : Category::weights] += keys_and_values;
  const std::int64_t tile = matrix_bytes(s, extent.tiles_at_once * extent.tile_rows, extent.columns);
  cost.memory[Category::workspace] += tile;
  if (s.context_length > 0) {
    cost.memory[Category::kv_cache] +=
        s.num_layers * matrix_bytes(s, s.repeats * s.batch_size() * extent.columns, extent.kv_width());
  }
  // Q, K, V and what comes out of the heads
  const KeptSets sets = s.trains() ? s.kept_sets() : KeptSets();
  const std::int64_t qkv = matrix_bytes(s, s.tokens, width);
  const std::int64_t context = matrix_bytes(s, s.tokens, extent.query_width());
  cost.memory[Category::activations] += sets.activations * qkv + sets.inputs * context;
  cost.reduction_length += h + extent.head_size + extent.columns + s.query_width();
  if (!s.trains()) return;
  cost.memory[Category::workspace] += tile;
  cost.memory[Category::gradients] +=
      own + keys_and_values + std::max<std::int64_t>(1, sets.gradients) * qkv + context;
  cost.reduction_length += h + extent.head_size + extent.columns + s.query_width() + s.tokens;
  if (extent.kv_copies > 1) {
    // Each copy saw the query heads of its own rank only.
    add_collective(cost, s, CollectiveOp::all_reduce, matrix_bytes(s, h, extent.kv_width()), 1,
                   Direction::backward, extent.kv_copies, Often::once);
  }
}

Cost region_cost(const Shape& s, void (*add_part)(Cost&, const Shape&)) {
  Cost cost;
  cost.reduction_length = 0;
  cost.memory[Category::activations] = matrix_bytes(s, s.local_tokens(), s.hidden_size);  // X
  add_region_entry(cost, s);
  add_part(cost, s);
  add_region_exit(cost, s);
  return cost;
}

void add_norms(Cost& cost, const Shape& s, std::int64_t norms) {
  // Scale, and for a layer norm shift; all norms of a weight set in one matrix.
  const std::int64_t rows = norms * (s.norm == Norm::layer_norm ? 2 : 1);
  const std::int64_t parameters = matrix_bytes(s, rows, s.hidden_size);
  cost.memory[Category::replicated_weights] += s.num_layers * parameters;
  cost.unmultiplied[Category::replicated_weights] += s.num_layers * parameters;
  cost.reduction_length += norms * s.hidden_size;
  add_passes(cost, s, WorkKind::elementwise, Direction::forward, s.local_tokens(), s.hidden_size, 2 * norms,
             norms);
  if (!s.trains()) return;
  // Reads x and its output's gradient, adds to that of x.
  add_passes(cost, s, WorkKind::elementwise, Direction::backward, s.local_tokens(), s.hidden_size, 4 * norms,
             norms);
  cost.memory[Category::gradients] += s.num_layers * parameters;
  cost.reduction_length += norms * s.hidden_size;
  if (s.splits_rows()) {
    // Each rank summed over its own rows.
    add_collective(cost, s, CollectiveOp::all_reduce, parameters, 1, Direction::backward, s.layout.tp,
                   Often::once);
  }
}

std::vector<SplitDimension> with_rows(const Shape& s, std::vector<SplitDimension> dimensions) {
  if (s.has_microbatches()) {
    if (s.sequence_parallel || s.scatters_boundary())
      dimensions.push_back({"tokens of a microbatch", s.tokens / s.microbatches});
  } else if (s.sequence_parallel) {
    dimensions.push_back({"tokens (batch_size x sequence_length)", s.tokens});
  }
  return dimensions;
}

}  // namespace tpbench
