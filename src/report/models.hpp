#pragma once

#include <string>

namespace tpbench {

/// The presets of `model`, one line each, with a heading.
std::string models_as_text();

/// The same as a JSON list of objects.
std::string models_as_json();

}  // namespace tpbench
