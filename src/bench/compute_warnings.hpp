#pragma once

#include <optional>
#include <string>

#include "bench/warnings.hpp"

namespace tpbench {

/// Products that are slow for what they are, or that hosts do not make alike: rows of the table in
/// warnings.cpp.
std::optional<std::string> slow_blas(const WarningInputs& in);
std::optional<std::string> slow_compute(const WarningInputs& in);
std::optional<std::string> emulated_dtype(const WarningInputs& in);
std::optional<std::string> mixed_kernels(const WarningInputs& in);

}  // namespace tpbench
