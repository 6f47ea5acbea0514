#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/document.hpp"
#include "result/record.hpp"

namespace tpbench {

/// What people read of results: a line with what all cases share, one row per case (many that were skipped
/// for one reason are one line instead), the legend of the warnings, and one sentence per workload and shape
/// on its useful degree.
std::vector<Section> result_sections(std::span<const Record> records, double efficiency_floor);
inline std::string render_table(std::span<const Record> records, double efficiency_floor) {
  return to_text(result_sections(records, efficiency_floor));
}

}  // namespace tpbench
