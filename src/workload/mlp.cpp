#include "workload/workload.hpp"

namespace tpbench {
namespace {

// Y [T, h] = sum over ranks of act(X A_i) B_i, A_i [h, f/t], B_i [f/t, h]. The gated form has two A_i side by
// side.
Cost cost(const Shape& s) {
  const std::int64_t h = s.hidden_size, f = s.ffn_hidden_size / s.tp_degree, e = s.element_size();
  const std::int64_t inner = s.activation == Activation::swiglu ? 2 * f : f;
  Cost cost;
  cost.flop = 2.0 * static_cast<double>(s.tokens) * static_cast<double>(h) * static_cast<double>(inner + f) *
              static_cast<double>(s.num_layers);
  cost.memory[Category::weights] = s.num_layers * (h * inner + f * h) * e;
  cost.memory[Category::activations] = (2 * s.tokens * h + s.tokens * inner) * e;  // X, Y and act(X A_i)
  cost.collectives = {{CollectiveOp::all_reduce, s.tokens * h * e, s.tp_degree > 1 ? s.num_layers : 0}};
  cost.reduction_length = h + s.ffn_hidden_size;
  return cost;
}

}  // namespace

const Workload mlp_workload = {
    .name = "mlp",
    .summary = "Y = sum of act(X A_i) B_i, A_i [h, f/t], B_i [f/t, h]: one all-reduce of [T, h]",
    .uses = {.num_layers = true, .ffn_hidden_size = true, .activation = true, .algorithm = true},
    .split =
        [](const Shape& s) {
          return SplitDimension{"ffn_hidden_size", s.ffn_hidden_size};
        },
    .cost = cost,
};

}  // namespace tpbench
