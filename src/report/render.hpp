#pragma once

#include <string>
#include <vector>

#include "base/enum_names.hpp"
#include "result/record.hpp"

namespace tpbench {

/// What stdout gets (`--format`).
enum class Format { table, csv, json, jsonl, markdown, none };

/// The records of a sweep in that format, with line ends. `efficiency_floor` is that of the verdicts. `json`
/// is one document, `tpbench.results/1`: the verdicts, the warnings, and each case by the names of
/// summary.csv.
std::string render(Format format, const std::vector<Record>& records, double efficiency_floor);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Format, {tpbench::Format::table, "table"}, {tpbench::Format::csv, "csv"},
                   {tpbench::Format::json, "json"}, {tpbench::Format::jsonl, "jsonl"},
                   {tpbench::Format::markdown, "markdown"}, {tpbench::Format::none, "none"});
