#pragma once

#include "sweep/case.hpp"

namespace tpbench {

/// The shape of a case on its backend: with what the backend's row says of tiles.
Shape shape_of(const Case& point);

/// What the case costs on its backend at this degree: the formulas of its workload, and the backend's workspace.
Cost cost_of(const Case& point, std::int64_t degree);
inline Cost cost_of(const Case& point) { return cost_of(point, point.tp_degree); }

}  // namespace tpbench
