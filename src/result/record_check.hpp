#pragma once

#include <string>

#include "result/record.hpp"

namespace tpbench {

/// A record that says something else than its name, or that its own samples contradict, was not written by
/// tpbench: throws std::runtime_error with the key and both values.
void check_consistent(const Record& record, const std::string& name);

}  // namespace tpbench
