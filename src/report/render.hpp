#pragma once

#include <string>
#include <vector>

#include "base/enum_names.hpp"
#include "result/record.hpp"

namespace tpbench {

/// What stdout gets (`--format`).
enum class Format { table, csv, jsonl, none };

/// The records of a sweep in that format, with line ends. `efficiency_floor` is used by the table's
/// sentences.
std::string render(Format format, const std::vector<Record>& records, double efficiency_floor);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Format, {tpbench::Format::table, "table"}, {tpbench::Format::csv, "csv"},
                   {tpbench::Format::jsonl, "jsonl"}, {tpbench::Format::none, "none"});
