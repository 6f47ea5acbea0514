#pragma once

#include <span>
#include <string>

#include "workload/models.hpp"

namespace tpbench {

/// The presets of `model`, one line each, with a heading.
std::string models_as_text();

/// One model, and what of it is not run as published.
std::string model_as_text(const Model& model);

/// Models as a JSON list of objects.
std::string models_as_json(std::span<const Model> models = all_models());

}  // namespace tpbench
