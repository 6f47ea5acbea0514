#pragma once

#include <optional>

#include "bench/team.hpp"
#include "compute/core_rate.hpp"

namespace tpbench {

/// What one core multiplies by the case's library in its type, and could, on the rank where it is farthest
/// below that.
struct LibraryRate {
  CoreRate rate;
  int world_rank = 0;
};

/// Empty with OpenBLAS, whose rates were taken when the launch began, and on a device. Collective over the
/// active ranks of `team`, before the case makes its backend; some milliseconds, once for each library and
/// type.
std::optional<LibraryRate> slowest_library_rate(const Case& point, const Team& team);

}  // namespace tpbench
