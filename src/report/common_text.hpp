#pragma once

#include <span>
#include <string>

#include "result/record.hpp"

namespace tpbench {

/// `text` in lines of at most TextTable::kWidth characters; `indent` stands before all but the first.
std::string wrapped_lines(const std::string& text, const std::string& indent);

/// "All cases: workload=mlp pass=forward ...": the fields of a case that have one value in all of them.
std::string shared_fields(std::span<const Case> cases);

/// "All cases: label=eth-1g workload=mlp pass=forward ...", wrapped: what the columns of a table leave out.
std::string common_text(std::span<const Record* const> records);

}  // namespace tpbench
