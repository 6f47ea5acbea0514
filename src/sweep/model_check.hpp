#pragma once

#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/json_fwd.hpp"

namespace tpbench {

/// Whether this sweep, or point of its `cases`, names a model; null is none.
bool names_model(const Json& object);

/// Whether the axis is one of `model_fields`.
bool is_set_by_model(std::string_view key);

/// Adds a fault for each value that stands beside a model which sets it, and for a list of models with null
/// in it. A point that names neither a model nor null has that of the sweep. The faults have no `place` yet;
/// `sweep` may break the schema.
void check_models(const Json& sweep, std::vector<Fault>& faults);

}  // namespace tpbench
