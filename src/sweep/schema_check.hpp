#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"

namespace tpbench {

/// Every place where `document` breaks the sweep schema, in the words of the schema's own "x-rule"s. The
/// faults have no `place` yet. Whole numbers in `document` are integers already (`make_integral`).
std::vector<Fault> check_against_sweep_schema(const Json& document);

/// Turns floats that are whole numbers into integers, as JSON Schema sees them: 4096.0 is 4096, 1e3 is 1000.
void make_integral(Json& value);

/// A value as it is shown in a message: JSON on one line, cut when it is long.
std::string shown(const Json& value);

/// The keys of the object schema `node`.
std::vector<std::string> keys_of(const Json& node);

}  // namespace tpbench
