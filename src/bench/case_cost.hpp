#pragma once

#include "compute/backend.hpp"
#include "sweep/case.hpp"

namespace tpbench {

/// What the case wants of its backend, on so many threads.
BackendNeeds backend_needs(const Case& point, std::int64_t threads);

/// The shape of a case on its backend: with what the backend's row says of tiles.
Shape shape_of(const Case& point);

/// What the case costs on each rank of that layout, on its backend: the formulas of its workload, and the
/// backend's workspace. Of a pipeline, on the rank with most FLOP, with the memory of the rank that holds
/// most.
Cost cost_of(const Case& point, const Layout& layout);
/// The same of one rank of the pipeline.
Cost cost_of_stage(const Case& point, const Layout& layout, std::int64_t pp_rank);
inline Cost cost_of(const Case& point) { return cost_of(point, point.layout); }

/// What packed weights take at the most beside the costs above, in which they stand for the rows that they
/// take the place of, but for rounding up: one weight is there twice while it is packed; an output that is
/// overlapped in columns keeps the rows, and packs the whole and its columns; so does a table that is looked
/// up too. What it was is known when the library has packed them (ProductFacts::added_bytes).
std::int64_t most_packing_bytes(const Case& point, const Cost& cost);

/// Of rows whose pages are let go of and whose addresses stay, beside those: what a limit on the addresses of
/// a process (ulimit -v, ulimit -d) counts too.
std::int64_t let_go_bytes(const Case& point, const Cost& cost);

/// The same of what its results are of: of a model that is scaled from fewer layers, all layers.
Cost whole_cost_of(const Case& point, const Layout& layout);

}  // namespace tpbench
