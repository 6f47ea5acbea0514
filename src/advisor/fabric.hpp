#pragma once

#include <string>

#include "advisor/predict_case.hpp"

namespace tpbench {

/// Puts another network into `fabric`. `text` is the document of a probe there, or its two numbers,
/// "alpha=20us,bandwidth=12.5GB/s"; "inside:" or "between:" before it says which network it is, that inside
/// hosts or that between them, which is meant where neither stands. Throws UsageError.
void set_fabric(Fabric& fabric, const std::string& text);

}  // namespace tpbench
