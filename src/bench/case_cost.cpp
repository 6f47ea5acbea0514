#include "bench/case_cost.hpp"

#include "compute/backend.hpp"

namespace tpbench {

Shape shape_of(const Case& point) {
  Shape shape = point.shape();
  if (const BackendEntry* backend = find_backend(point.backend)) shape.scores_bytes = backend->scores_bytes;
  return shape;
}

namespace {

Cost on_backend(const Case& point, Shape shape, const Layout& layout) {
  shape.layout = layout;
  Cost cost = point.workload_row().cost(shape);
  if (const BackendEntry* backend = find_backend(point.backend))
    cost.memory[Category::workspace] += backend->workspace_bytes;
  return cost;
}

}  // namespace

Cost cost_of(const Case& point, const Layout& layout) { return on_backend(point, shape_of(point), layout); }

Cost whole_cost_of(const Case& point, const Layout& layout) {
  Shape shape = shape_of(point);
  shape.num_layers = point.whole_shape().num_layers;
  return on_backend(point, shape, layout);
}

}  // namespace tpbench
