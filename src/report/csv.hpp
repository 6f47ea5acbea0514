#pragma once

#include <span>
#include <string>

#include "base/json_fwd.hpp"
#include "report/document.hpp"
#include "result/record.hpp"

namespace tpbench {

/// One cell as RFC 4180 wants it: quoted where it holds a comma, a quote or a line end.
std::string csv_cell(const Json& value);

/// One line of cells with the line end that every tool reads ("\n").
std::string csv_line(std::span<const Json> cells);

/// The columns of summary.csv, one row per record, in the order of the table: for programs.
Section summary_table(std::span<const Record> records);
/// summary.csv: a heading, then one line per record.
inline std::string render_csv(std::span<const Record> records) { return to_csv(summary_table(records)); }

}  // namespace tpbench
