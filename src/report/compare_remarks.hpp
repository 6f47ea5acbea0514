#pragma once

#include <string>
#include <vector>

#include "report/compare_cell.hpp"

namespace tpbench {

/// environment.json, or the first there is; null without.
const Json* environment_of(const ResultSet& set);

/// What makes the launches unlike before anything else is looked at: matrix products by other kernels, ranks
/// on other cores. `cases`: those that are compared.
std::vector<std::string> alarms_of(const Comparison& comparison, const std::vector<CaseLaunches>& cases);

/// What a reader of the numbers must know.
std::vector<std::string> remarks_on(const Comparison& comparison, const std::vector<CaseLaunches>& cases);

}  // namespace tpbench
