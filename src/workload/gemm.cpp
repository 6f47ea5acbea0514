#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Y [T, h/t] = X [T, h] W [h, h/t]
Cost cost(const Shape& s) {
  const std::int64_t h = s.hidden_size, columns = h / s.tp_degree, e = s.element_size();
  Cost cost;
  cost.flop = 2.0 * static_cast<double>(s.tokens) * static_cast<double>(h) * static_cast<double>(columns) *
              static_cast<double>(s.num_layers);
  cost.memory[Category::weights] = s.num_layers * h * columns * e;
  cost.memory[Category::activations] = (s.tokens * h + s.tokens * columns) * e;
  cost.reduction_length = h;
  return cost;
}

}  // namespace

const Workload gemm_workload = {
    .name = "gemm",
    .summary = "Y = X W alone, X [T, h], W [h, h/t]: a probe of the compute library",
    .uses = {.num_layers = true},
    .split =
        [](const Shape& s) {
          return SplitDimension{"hidden_size", s.hidden_size};
        },
    .cost = cost,
};

}  // namespace tpbench
