#include "workload/pieces.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Of the whole batch.
std::int64_t ids_bytes(const Shape& s) {
  return s.repeats * s.tokens * static_cast<std::int64_t>(sizeof(std::int64_t));
}

// Y [T, h] = sum over ranks of the rows of W_i [V/t, h] that tokens have there, and zeros
Cost embedding_cost(const Shape& s) {
  const std::int64_t local = matrix_bytes(s, s.local_tokens(), s.hidden_size);
  Cost cost;
  add_embedding(cost, s);
  cost.memory[Category::activations] += local;
  if (s.trains()) cost.memory[Category::gradients] += local;
  return cost;
}

// logits_i [T, V/t] = X [T, h] W_i^T
Cost lm_head_cost(const Shape& s) {
  Cost cost;
  cost.reduction_length = 0;
  cost.memory[Category::activations] = matrix_bytes(s, s.local_tokens(), s.hidden_size);  // X
  add_output_head(cost, s, true);
  return cost;
}

std::vector<SplitDimension> rows_alone(const Shape& s) { return with_rows(s, {}); }

}  // namespace

void add_embedding(Cost& cost, const Shape& s) {
  const std::int64_t whole = matrix_bytes(s, s.tokens, s.hidden_size);
  const std::int64_t table = matrix_bytes(s, s.vocabulary_rows(), s.hidden_size);
  cost.memory[Category::weights] += table;
  cost.unmultiplied[Category::weights] += table;
  cost.memory[Category::activations] += ids_bytes(s);
  add_passes(cost, s, WorkKind::elementwise, Direction::forward, s.tokens, s.hidden_size, 2);
  if (s.splits_rows()) {
    cost.memory[Category::communication] += whole;  // the partial sums; backward, the gathered gradient
    add_collective(cost, s, CollectiveOp::reduce_scatter, whole, 1, Direction::forward, s.layout.tp);
  } else {
    add_collective(cost, s, CollectiveOp::all_reduce, whole, 1, Direction::forward, s.layout.tp);
  }
  if (!s.trains()) return;
  cost.memory[Category::gradients] += table;
  cost.reduction_length += s.tokens;
  // All of the table is written, and the rows that tokens have once more.
  add_passes(cost, s, WorkKind::elementwise, Direction::backward, s.vocabulary_rows(), s.hidden_size, 1);
  add_passes(cost, s, WorkKind::elementwise, Direction::backward, s.tokens, s.hidden_size, 3, 0);
  if (s.splits_rows())
    add_collective(cost, s, CollectiveOp::all_gather, whole, 1, Direction::backward, s.layout.tp);
}

void add_output_head(Cost& cost, const Shape& s, bool has_weights) {
  const std::int64_t h = s.hidden_size, columns = s.vocabulary_rows(), rows = s.logit_rows();
  const std::int64_t table = matrix_bytes(s, columns, h), shard = matrix_bytes(s, rows, columns);
  Shape of_rows = s;
  of_rows.tokens = rows;
  add_product(cost, of_rows, h, columns);
  add_region_entry(cost, s);
  // Without weights of its own it multiplies with those of the embedding.
  if (has_weights)
    cost.memory[Category::weights] += table;
  else
    cost.unmultiplied[Category::weights] -= table;
  cost.reduction_length += h;
  if (!s.trains()) {
    cost.memory[Category::activations] += s.repeats * matrix_bytes(s, rows, s.padded_vocabulary());
    if (s.layout.tp == 1) return;
    // As in a column-parallel linear: the shard before the gather, the gathered shards, and the rows that
    // they are laid out in. One row is gathered straight into its place.
    const std::int64_t output = matrix_bytes(s, rows, s.padded_vocabulary());
    cost.memory[Category::communication] += shard + (rows > 1 ? output : 0);
    add_collective(cost, s, CollectiveOp::all_gather, output, 1, Direction::forward, s.layout.tp);
    if (rows > 1)
      add_passes(cost, s, WorkKind::elementwise, Direction::forward, rows, s.padded_vocabulary(), 2,
                 s.layout.tp);
    return;
  }
  if (has_weights) cost.memory[Category::gradients] += table;
  // Of each row the largest logit, the sum of exponentials and the logit of the target, each reduced over the
  // ranks, and the loss; and the target itself. Backward goes on with the exponentials and their sum.
  const std::int64_t numbers = rows * size_of(s.number_dtype()), kept = s.kept_sets().logits;
  add_passes(cost, s, WorkKind::activation, Direction::forward, rows, columns, 3, 2);
  add_passes(cost, s, WorkKind::elementwise, Direction::backward, rows, columns, 2);
  cost.memory[Category::activations] += kept * shard + (2 + kept + s.repeats) * numbers + ids_bytes(s);
  add_collective(cost, s, CollectiveOp::all_reduce, numbers, 3, Direction::forward, s.layout.tp);
  cost.reduction_length += 2 * s.vocabulary + s.tokens;
}

const Workload embedding_workload = {
    .name = "embedding",
    .summary = "rows of W_i [V/t, h] looked up for the tokens that this rank holds: one all-reduce of [T, h]",
    .kind = WorkloadKind::layer,
    .uses = {.algorithm = true, .vocabulary = true},
    .split = rows_alone,
    .cost = embedding_cost,
};

const Workload lm_head_workload = {
    .name = "lm_head",
    .summary =
        "logits X W_i^T, W_i [V/t, h], gathered; trained, their cross-entropy: three all-reduces of [T]",
    .kind = WorkloadKind::layer,
    .uses = {.products = true, .algorithm = true, .vocabulary = true, .logits = true},
    .split = rows_alone,
    .cost = lm_head_cost,
};

}  // namespace tpbench
