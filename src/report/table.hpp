#pragma once

#include <span>
#include <string>

#include "result/record.hpp"

namespace tpbench {

/// The terminal table: a line with what all cases share, one row per case (many that were skipped for one
/// reason are one line instead), the legend of the warnings, and one sentence per workload and shape on its
/// useful degree. Plain ASCII.
std::string render_table(std::span<const Record> records, double efficiency_floor);

}  // namespace tpbench
