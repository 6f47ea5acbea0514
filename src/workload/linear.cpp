#include "workload/workload.hpp"

namespace tpbench {
namespace {

double linear_flop(const Shape& s) {
  const double h = static_cast<double>(s.hidden_size);
  return 2.0 * static_cast<double>(s.tokens) * h * h / static_cast<double>(s.tp_degree) *
         static_cast<double>(s.num_layers);
}

// Y_i [T, h/t] = X [T, h] W_i [h, h/t]; then the whole Y [T, h] is assembled on every rank.
Cost column_cost(const Shape& s) {
  const std::int64_t h = s.hidden_size, columns = h / s.tp_degree, e = s.element_size();
  const std::int64_t output = s.tokens * h * e;
  Cost cost;
  cost.flop = linear_flop(s);
  cost.memory[Category::weights] = s.num_layers * h * columns * e;
  cost.memory[Category::activations] = 2 * output;  // X and Y, both whole on every rank
  const bool gathers = s.combine == Combine::all_gather;
  if (gathers && s.tp_degree > 1) {
    // The shard before the gather; and, as a gather puts rank after rank, the gathered array that is then
    // laid out in rows. One token is one row: it is gathered straight into Y.
    cost.memory[Category::communication] = s.tokens * columns * e + (s.tokens > 1 ? output : 0);
  }
  cost.collectives = {{gathers ? CollectiveOp::all_gather : CollectiveOp::all_reduce, output,
                       s.tp_degree > 1 ? s.num_layers : 0}};
  cost.reduction_length = h;
  return cost;
}

// Y [T, h] = sum over ranks of X_i [T, h/t] W_i [h/t, h]
Cost row_cost(const Shape& s) {
  const std::int64_t h = s.hidden_size, rows = h / s.tp_degree, e = s.element_size();
  Cost cost;
  cost.flop = linear_flop(s);
  cost.memory[Category::weights] = s.num_layers * rows * h * e;
  cost.memory[Category::activations] = (s.tokens * rows + s.tokens * h) * e;
  cost.collectives = {{CollectiveOp::all_reduce, s.tokens * h * e, s.tp_degree > 1 ? s.num_layers : 0}};
  cost.reduction_length = h;
  return cost;
}

SplitDimension hidden(const Shape& s) { return {"hidden_size", s.hidden_size}; }

}  // namespace

const Workload column_linear_workload = {
    .name = "column_linear",
    .summary = "Y_i = X W_i, W_i [h, h/t]; the full Y is assembled by an all-gather or an all-reduce",
    .uses = {.num_layers = true, .combine = true, .algorithm = true},
    .split = hidden,
    .cost = column_cost,
};

const Workload row_linear_workload = {
    .name = "row_linear",
    .summary = "Y = sum of X_i W_i, X_i [T, h/t], W_i [h/t, h]: one all-reduce of [T, h]",
    .uses = {.num_layers = true, .algorithm = true},
    .split = hidden,
    .cost = row_cost,
};

}  // namespace tpbench
