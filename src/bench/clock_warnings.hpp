#pragma once

#include <optional>
#include <string>

#include "bench/warnings.hpp"

namespace tpbench {

/// What the clocks of the ranks leave open: rows of the table in warnings.cpp.
std::optional<std::string> below_clock_error(const WarningInputs& in);
std::optional<std::string> device_clock_error(const WarningInputs& in);
std::optional<std::string> late_starts(const WarningInputs& in);

}  // namespace tpbench
