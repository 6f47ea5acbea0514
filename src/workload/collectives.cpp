#include "workload/workload.hpp"

namespace tpbench {
namespace {

// The three probes move an array of [T, h]; `shards` counts the extra buffers of [T * h / t] that they hold.
Cost cost_of(const Shape& s, CollectiveOp op, std::int64_t shards) {
  const std::int64_t whole = s.tokens * s.hidden_size * s.element_size();
  Cost cost;
  cost.collectives = {{op, whole, s.layout.tp > 1 ? 1 : 0, Direction::forward, s.layout.tp}};
  cost.memory[Category::communication] = whole + shards * whole / s.layout.tp;
  cost.reduction_length = op == CollectiveOp::all_gather ? 1 : s.layout.tp;
  return cost;
}

// An all-reduce takes any length; the other two give each rank one t-th of the array.
std::vector<SplitDimension> anything(const Shape&) { return {}; }
std::vector<SplitDimension> elements(const Shape& s) {
  return {{"tokens x hidden_size", s.tokens * s.hidden_size}};
}

}  // namespace

const Workload all_reduce_workload = {
    .name = "all_reduce",
    .summary = "one in-place all-reduce of a [T, h] array: a probe of the fabric",
    .kind = WorkloadKind::fabric_probe,
    .uses = {.algorithm = true},
    .split = anything,
    .cost = [](const Shape& s) { return cost_of(s, CollectiveOp::all_reduce, 0); },
};

const Workload all_gather_workload = {
    .name = "all_gather",
    .summary = "one all-gather into a [T, h] array: a probe of the fabric",
    .kind = WorkloadKind::fabric_probe,
    .uses = {.algorithm = true},
    .split = elements,
    .cost = [](const Shape& s) { return cost_of(s, CollectiveOp::all_gather, 1); },
};

const Workload reduce_scatter_workload = {
    .name = "reduce_scatter",
    .summary = "one reduce-scatter of a [T, h] array: a probe of the fabric",
    .kind = WorkloadKind::fabric_probe,
    .uses = {.algorithm = true},
    .split = elements,
    .cost = [](const Shape& s) { return cost_of(s, CollectiveOp::reduce_scatter, 1); },
};

}  // namespace tpbench
