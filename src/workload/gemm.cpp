#include "workload/pieces.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Y [T, h/t] = X [T, h] W [h, h/t]
Cost gemm_cost(const Shape& s) {
  const std::int64_t h = s.hidden_size, columns = h / s.layout.tp;
  Cost cost;
  add_product(cost, s, h, columns);
  cost.memory[Category::weights] = s.num_layers * matrix_bytes(s, h, columns);
  cost.memory[Category::activations] = matrix_bytes(s, s.tokens, h) + matrix_bytes(s, s.tokens, columns);
  cost.reduction_length = h;
  return cost;
}

}  // namespace

const Workload gemm_workload = {
    .name = "gemm",
    .summary = "Y = X W alone, X [T, h], W [h, h/t]: a probe of the compute library",
    .kind = WorkloadKind::compute_probe,
    .uses = {.products = true, .num_layers = true},
    .split =
        [](const Shape& s) {
          return std::vector<SplitDimension>{{"hidden_size", s.hidden_size}};
        },
    .cost = gemm_cost,
};

}  // namespace tpbench
