#include "workload/pieces.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// R = X + attention(norm(X)), Y = R + mlp(norm(R)); the Y of one weight set is the X of the next.
Cost block_cost(const Shape& s) {
  Cost cost;
  cost.reduction_length = 0;
  add_blocks(cost, s);
  // Of the output; that of what goes through the layers is beside it.
  if (s.trains()) cost.memory[Category::gradients] += matrix_bytes(s, s.local_tokens(), s.hidden_size);
  return cost;
}

}  // namespace

void add_blocks(Cost& cost, const Shape& s) {
  constexpr std::int64_t kHalves = 2;  // attention and mlp, which use the same buffers one after the other
  const std::int64_t local = matrix_bytes(s, s.local_tokens(), s.hidden_size);
  // X, and what goes through the layers: in place, or kept for backward as x, R and the two normed inputs of
  // each weight set.
  cost.memory[Category::activations] += s.trains() ? (1 + 4 * s.num_layers) * local : 3 * local;
  add_region_entry(cost, s, kHalves);
  add_norms(cost, s, kHalves);
  add_attention(cost, s);
  add_mlp(cost, s);
  add_region_exit(cost, s, kHalves);
  cost.reduction_length *= s.num_layers;
  cost.chained_layers = s.num_layers;
}

const Workload block_workload = {
    .name = "block",
    .summary =
        "norm, attention, residual, norm, mlp, residual: a transformer layer, two all-reduces of [T, h]",
    .kind = WorkloadKind::layer,
    .uses = {.num_layers = true,
             .ffn_hidden_size = true,
             .num_heads = true,
             .activation = true,
             .norm = true,
             .algorithm = true,
             .overlap = true},
    .split =
        [](const Shape& s) {
          return with_rows(s, {{"num_heads", s.num_heads},
                               {"num_kv_heads", s.num_kv_heads, true},
                               {"ffn_hidden_size", s.ffn_hidden_size}});
        },
    .cost = block_cost,
};

}  // namespace tpbench
