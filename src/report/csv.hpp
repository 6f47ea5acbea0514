#pragma once

#include <span>
#include <string>

#include "base/json_fwd.hpp"
#include "result/record.hpp"

namespace tpbench {

/// One cell as RFC 4180 wants it: quoted where it holds a comma, a quote or a line end.
std::string csv_cell(const Json& value);

/// One line of cells with the line end that every tool reads ("\n").
std::string csv_line(std::span<const Json> cells);

/// summary.csv: a heading, then one line per record, in the order of the table.
std::string render_csv(std::span<const Record> records);

}  // namespace tpbench
