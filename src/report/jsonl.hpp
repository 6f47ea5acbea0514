#pragma once

#include <span>
#include <string>

#include "result/record.hpp"

namespace tpbench {

/// One record per line, as in its file, in the order of the table.
std::string render_jsonl(std::span<const Record> records);

}  // namespace tpbench
