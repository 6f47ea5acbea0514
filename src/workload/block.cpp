#include "workload/pieces.hpp"
#include "workload/pipeline_plan.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

constexpr std::int64_t kHalves = 2;  // attention and mlp, which use the same buffers one after the other

// R = X + attention(norm(X)), Y = R + mlp(norm(R)); the Y of one weight set is the X of the next.
Cost whole_block_cost(const Shape& s) {
  Cost cost;
  cost.reduction_length = 0;
  add_blocks(cost, s);
  // Of the output; that of what goes through the layers is beside it.
  if (s.trains()) cost.memory[Category::gradients] += matrix_bytes(s, s.local_tokens(), s.hidden_size);
  return cost;
}

// The same over stages. The gradient that comes in is on the last rank.
Cost staged_block_cost(const Shape& whole) {
  Cost cost;
  add_stages(cost, whole);
  if (whole.trains() && whole.pp_rank + 1 == whole.layout.pp)
    cost.memory[Category::gradients] += matrix_bytes(whole, whole.local_tokens(), whole.hidden_size);
  Shape unpiped = whole;
  unpiped.layout.pp = unpiped.microbatches = 1;
  cost.reduction_length = whole_block_cost(unpiped).reduction_length;
  cost.chained_layers = whole.num_layers;
  return cost;
}

Cost block_cost(const Shape& s) { return s.has_microbatches() ? staged_block_cost(s) : whole_block_cost(s); }

}  // namespace

Shape stage_shape(const Shape& whole) {
  Shape s = whole.of_stage();
  s.kept = kept_sets_of(whole, plan_rank(whole.pipeline(), whole.pp_rank));
  return s;
}

void add_stages(Cost& cost, const Shape& whole) {
  const RankPlan plan = plan_rank(whole.pipeline(), whole.pp_rank);
  const Shape s = stage_shape(whole);
  const std::int64_t local = matrix_bytes(s, s.local_tokens(), s.hidden_size);
  const std::int64_t batch = matrix_bytes(whole, whole.local_tokens(), whole.hidden_size);
  const bool is_first = whole.pp_rank == 0, is_last = whole.pp_rank + 1 == whole.layout.pp;
  add_halves(cost, s);
  if (whole.layout.pp > 1 && whole.trains() && whole.schedule == Schedule::zb_h1)
    add_passes(cost, s, WorkKind::elementwise, Direction::backward, s.tokens, s.hidden_size, 2 * kHalves,
               kHalves);  // gradients kept until those of the weights are computed
  // What goes through the layers and what comes out of their norms; forward only in one place for all layers,
  // where the first of it waits to be sent.
  const KeptSets kept = s.kept_sets();
  cost.memory[Category::activations] += (is_first ? batch : 0) + (is_last ? batch : 0) +
                                        (s.trains() ? kHalves : 1) * local * (kept.activations + kept.inputs);
  cost.memory[Category::communication] += plan.received * local;
  if (whole.scatters_boundary()) {
    constexpr std::int64_t kPosted = 2;  // one ahead
    const std::int64_t directions =
        (plan.forward_receives.empty() ? 0 : 1) + (plan.backward_receives.empty() ? 0 : 1);
    cost.memory[Category::communication] += directions * kPosted * local / whole.layout.tp;
  }
  for (const auto& [messages, direction] : {std::pair(plan.forward_receives.size(), Direction::forward),
                                            std::pair(plan.backward_receives.size(), Direction::backward)}) {
    if (!whole.scatters_boundary() || messages == 0) continue;
    const auto gathers = static_cast<std::int64_t>(messages);
    cost.collectives.push_back({CollectiveOp::all_gather, local, gathers, direction, whole.layout.tp});
  }
  if (!s.trains()) return;
  const std::int64_t norms = s.norm == Norm::layer_norm ? 2 : 1;
  // A region ends with the gradient of its output: here it is one of those that go through.
  cost.memory[Category::gradients] += (is_first ? batch : 0) + (plan.gradient - 1) * local;
  cost.memory[Category::gradients] += matrix_bytes(s, norms, s.hidden_size);  // of one microbatch
  cost.memory[Category::gradients] += kept.gradients * kHalves * matrix_bytes(s, s.tokens, s.hidden_size);
}

void add_halves(Cost& cost, const Shape& s) {
  add_region_entry(cost, s, kHalves);
  add_norms(cost, s, kHalves);
  add_attention(cost, s);
  add_mlp(cost, s);
  add_region_exit(cost, s, kHalves);
  // The residuals; backward they are in what the norms do.
  add_passes(cost, s, WorkKind::elementwise, Direction::forward, s.local_tokens(), s.hidden_size, 3 * kHalves,
             kHalves);
}

void add_blocks(Cost& cost, const Shape& s) {
  const std::int64_t local = matrix_bytes(s, s.local_tokens(), s.hidden_size);
  // X, and what goes through the layers: in place, or kept for backward as x, R and the two normed inputs of
  // each weight set.
  cost.memory[Category::activations] += s.trains() ? (1 + 4 * s.num_layers) * local : 3 * local;
  add_halves(cost, s);
  cost.reduction_length *= s.num_layers;
  cost.chained_layers = s.num_layers;
}

const Workload block_workload = {
    .name = "block",
    .summary =
        "norm, attention, residual, norm, mlp, residual: a transformer layer, two all-reduces of [T, h]",
    .kind = WorkloadKind::layer,
    .uses =
        [] {
          UsedFields uses = kOfLayers;
          uses.stages = true;
          return uses;
        }(),
    .split =
        [](const Shape& s) {
          return with_rows(s, {{"num_heads", s.num_heads},
                               {"num_kv_heads", s.num_kv_heads, true},
                               {"ffn_hidden_size", s.ffn_hidden_size}});
        },
    .cost = block_cost,
};

}  // namespace tpbench
