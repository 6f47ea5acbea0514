#pragma once

#include <vector>

#include "report/compare_cell.hpp"

namespace tpbench {

/// Fills the cells and the summaries of `comparison`, whose cases are those of `launches` in the same order,
/// and whose machine is known.
void judge_cases(Comparison& comparison, const std::vector<CaseLaunches>& launches, const SideFacts& facts);

}  // namespace tpbench
