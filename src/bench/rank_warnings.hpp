#pragma once

#include <optional>
#include <string>

#include "bench/warnings.hpp"

namespace tpbench {

/// Ranks that are slower or later than the others: rows of the table in warnings.cpp.
std::optional<std::string> slow_rank(const WarningInputs& in);
std::optional<std::string> imbalance(const WarningInputs& in);

}  // namespace tpbench
