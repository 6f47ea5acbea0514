#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/document.hpp"
#include "result/record.hpp"

namespace tpbench {

/// What people read of results: the verdict on each workload and shape, a line with what all cases share, one
/// row per case (many that were skipped for one reason are one line instead), and the legend of the warnings.
std::vector<Section> result_sections(std::span<const Record> records, double efficiency_floor);
/// Of each code of the warnings one sentence: how many cases have it, and what the worst of them says.
std::vector<std::string> warning_sentences(std::span<const Record> records);
inline std::string render_table(std::span<const Record> records, double efficiency_floor) {
  return to_text(result_sections(records, efficiency_floor));
}

}  // namespace tpbench
