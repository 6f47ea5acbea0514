#include "bench/case_cost.hpp"

#include <algorithm>
#include <utility>

#include "workload/pieces.hpp"

namespace tpbench {

BackendNeeds backend_needs(const Case& point, std::int64_t threads) {
  BackendNeeds needs{.backend = point.backend, .threads = static_cast<int>(threads)};
  needs.library = point.library.value_or(needs.library);
  needs.packs_weights = point.weight_layout == WeightLayout::packed;
  needs.huge_pages = point.pages == Pages::huge;
  return needs;
}

Shape shape_of(const Case& point) {
  Shape shape = point.shape();
  if (const BackendEntry* backend = find_backend(point.backend)) shape.scores_bytes = backend->scores_bytes;
  return shape;
}

namespace {

// On rank pp_rank of a pipeline.
Cost on_backend(const Case& point, Shape shape, const Layout& layout, std::int64_t pp_rank) {
  shape.layout = layout;
  shape.pp_rank = pp_rank;
  Cost cost = point.workload_row().cost(shape);
  if (const BackendEntry* backend = find_backend(point.backend))
    cost.memory[Category::workspace] += backend->workspace_bytes;
  return cost;
}

// The work of the stage with most of it, and the memory of the one with most of that.
Cost of_largest_stages(const Case& point, const Shape& shape, const Layout& layout) {
  Cost most = on_backend(point, shape, layout, 0);
  MemoryByCategory memory = most.memory;
  for (std::int64_t rank = 1; rank < layout.pp; ++rank) {
    Cost other = on_backend(point, shape, layout, rank);
    if (other.memory.total() > memory.total()) memory = other.memory;
    if (other.flop() > most.flop()) most = std::move(other);
  }
  most.memory = memory;
  return most;
}

}  // namespace

Cost cost_of(const Case& point, const Layout& layout) {
  return of_largest_stages(point, shape_of(point), layout);
}

Cost cost_of_stage(const Case& point, const Layout& layout, std::int64_t pp_rank) {
  return on_backend(point, shape_of(point), layout, pp_rank);
}

namespace {

struct PackingCost {
  std::int64_t multiplied = 0;  // weights that can be packed
  std::int64_t largest = 0;     // of them, one
  std::int64_t table = 0;       // one that is looked up too
  bool keeps_rows = false;      // of all of them
};

PackingCost packing_cost(const Case& point, const Cost& cost) {
  PackingCost packing;
  if (point.weight_layout != WeightLayout::packed) return packing;
  const Shape shape = shape_of(point);
  for (const Category category : {Category::weights, Category::replicated_weights})
    packing.multiplied += cost.memory[category] - cost.unmultiplied[category];
  for (const Work& work : cost.work) {
    if (work.kind == WorkKind::product)
      packing.largest = std::max(packing.largest, matrix_bytes(shape, work.in, work.out));
  }
  packing.largest = std::min(packing.largest, packing.multiplied);
  if (shape.ties_embeddings) packing.table = matrix_bytes(shape, shape.vocabulary_rows(), shape.hidden_size);
  packing.keeps_rows = shape.overlaps() && pieces_are_columns(shape);
  return packing;
}

}  // namespace

std::int64_t most_packing_bytes(const Case& point, const Cost& cost) {
  const PackingCost packing = packing_cost(point, cost);
  return packing.largest + (packing.keeps_rows ? 2 * packing.multiplied : 0) + packing.table;
}

std::int64_t let_go_bytes(const Case& point, const Cost& cost) {
  const PackingCost packing = packing_cost(point, cost);
  if (packing.keeps_rows) return 0;
  return std::max<std::int64_t>(0, packing.multiplied - packing.largest - packing.table);
}

Cost whole_cost_of(const Case& point, const Layout& layout) {
  Shape shape = shape_of(point);
  shape.num_layers = point.whole_shape().num_layers;
  return of_largest_stages(point, shape, layout);
}

}  // namespace tpbench
