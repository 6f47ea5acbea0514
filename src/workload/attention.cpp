#include "workload/pieces.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Y [T, h] = sum over ranks of heads_i(X Wq_i, X Wk_i, X Wv_i) Wo_i: query heads are split over the ranks,
// Wq_i [h, a/t d], Wo_i [a/t d, h]; so are key/value heads as long as there are enough of them.
Cost attention_cost(const Shape& s) { return region_cost(s, add_attention); }

}  // namespace

const Workload attention_workload = {
    .name = "attention",
    .summary =
        "causal softmax(Q K^T / sqrt(d)) V over a/t heads, projections split by heads: one all-reduce of [T, "
        "h]",
    .kind = WorkloadKind::layer,
    .uses = {.products = true, .num_layers = true, .num_heads = true, .algorithm = true, .overlap = true},
    .split =
        [](const Shape& s) {
          return with_rows(s, {{"num_heads", s.num_heads}, {"num_kv_heads", s.num_kv_heads, true}});
        },
    .cost = attention_cost,
};

}  // namespace tpbench
