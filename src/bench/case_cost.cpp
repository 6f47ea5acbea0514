#include "bench/case_cost.hpp"

#include "compute/backend.hpp"

namespace tpbench {

Shape shape_of(const Case& point) {
  Shape shape = point.shape();
  if (const BackendEntry* backend = find_backend(point.backend)) shape.scores_bytes = backend->scores_bytes;
  return shape;
}

Cost cost_of(const Case& point, const Layout& layout) {
  Cost cost = cost_of_stage(point, layout, 0);
  for (std::int64_t rank = 1; rank < layout.pp; ++rank) {
    const Cost other = cost_of_stage(point, layout, rank);
    if (other.memory.total() > cost.memory.total()) cost.memory = other.memory;
  }
  return cost;
}

Cost cost_of_stage(const Case& point, const Layout& layout, std::int64_t pp_rank) {
  Shape shape = shape_of(point);
  shape.layout = layout;
  shape.pp_rank = pp_rank;
  Cost cost = point.workload_row().cost(shape);
  if (const BackendEntry* backend = find_backend(point.backend))
    cost.memory[Category::workspace] += backend->workspace_bytes;
  return cost;
}

}  // namespace tpbench
