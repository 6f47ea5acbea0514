#include "workload/pieces.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Y [T, h] = sum over ranks of act(X A_i) B_i, A_i [h, f/t], B_i [f/t, h]. The gated form has two A_i side by
// side.
Cost mlp_cost(const Shape& s) { return region_cost(s, add_mlp); }

}  // namespace

const Workload mlp_workload = {
    .name = "mlp",
    .summary = "Y = sum of act(X A_i) B_i, A_i [h, f/t], B_i [f/t, h]: one all-reduce of [T, h]",
    .kind = WorkloadKind::layer,
    .uses = {.products = true,
             .num_layers = true,
             .ffn_hidden_size = true,
             .activation = true,
             .algorithm = true,
             .overlap = true},
    .split =
        [](const Shape& s) {
          return with_rows(s, {{"ffn_hidden_size", s.ffn_hidden_size}});
        },
    .cost = mlp_cost,
};

}  // namespace tpbench
