#pragma once

#include <optional>
#include <string>

#include "bench/warnings.hpp"

namespace tpbench {

/// What a split over stages leaves to doubt: rows of the table in warnings.cpp.
std::optional<std::string> placement_not_kept(const WarningInputs& in);
std::optional<std::string> bubble_unexplained(const WarningInputs& in);

}  // namespace tpbench
