#include "workload/pieces.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Y_i [T, h/t] = X [T, h] W_i [h, h/t]; then the whole Y [T, h] is assembled on every rank.
Cost column_cost(const Shape& s) {
  const std::int64_t h = s.hidden_size, columns = h / s.layout.tp;
  const std::int64_t output = matrix_bytes(s, s.tokens, h), shard = matrix_bytes(s, s.tokens, columns);
  const std::int64_t weights = s.num_layers * matrix_bytes(s, h, columns);
  const bool gathers = s.combine == Combine::all_gather;
  Cost cost;
  add_product(cost, s, h, columns);
  cost.memory[Category::weights] = weights;
  cost.memory[Category::activations] = matrix_bytes(s, s.local_tokens(), h) + output;
  if (gathers && s.layout.tp > 1) {
    // The shard before the gather; and, as a gather puts rank after rank, the gathered array that is then
    // laid out in rows. One token is one row: it is gathered straight into Y.
    cost.memory[Category::communication] = shard + (s.tokens > 1 ? output : 0);
  }
  add_collective(cost, s, gathers ? CollectiveOp::all_gather : CollectiveOp::all_reduce, output, 1,
                 Direction::forward, s.layout.tp);
  add_region_entry(cost, s);
  if (s.layout.tp > 1 && (s.tokens > 1 || !gathers)) {
    // Gathered shards are copied to their columns; the others' columns are set to 0.
    add_passes(cost, s, WorkKind::elementwise, Direction::forward, s.tokens, gathers ? h : h - columns,
               gathers ? 2 : 1, gathers ? s.layout.tp : 2);
  }
  cost.reduction_length = h;
  if (s.trains()) {
    // Backward needs this rank's columns of the output gradient only: assembling Y costs nothing there.
    cost.memory[Category::gradients] += weights + shard;
    cost.reduction_length += s.tokens;
  }
  return cost;
}

// Y [T, h] = sum over ranks of X_i [T, h/t] W_i [h/t, h]
Cost row_cost(const Shape& s) {
  const std::int64_t h = s.hidden_size, rows = h / s.layout.tp;
  const std::int64_t input = matrix_bytes(s, s.tokens, rows);
  const std::int64_t weights = s.num_layers * matrix_bytes(s, rows, h);
  Cost cost;
  add_product(cost, s, rows, h);
  cost.memory[Category::weights] = weights;
  cost.memory[Category::activations] = input;
  add_region_exit(cost, s);
  cost.reduction_length = h;
  if (s.trains()) {
    cost.memory[Category::gradients] += weights + input;
    cost.reduction_length += s.tokens;
  }
  return cost;
}

std::vector<SplitDimension> hidden(const Shape& s) { return with_rows(s, {{"hidden_size", s.hidden_size}}); }

}  // namespace

const Workload column_linear_workload = {
    .name = "column_linear",
    .summary = "Y_i = X W_i, W_i [h, h/t]; the full Y is assembled by an all-gather or an all-reduce",
    .kind = WorkloadKind::layer,
    .uses = {.products = true, .num_layers = true, .combine = true, .algorithm = true},
    .split = hidden,
    .cost = column_cost,
};

const Workload row_linear_workload = {
    .name = "row_linear",
    .summary = "Y = sum of X_i W_i, X_i [T, h/t], W_i [h/t, h]: one all-reduce of [T, h]",
    .kind = WorkloadKind::layer,
    .uses = {.products = true, .num_layers = true, .algorithm = true, .overlap = true},
    .split = hidden,
    .cost = row_cost,
};

}  // namespace tpbench
