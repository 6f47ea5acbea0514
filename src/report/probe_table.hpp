#pragma once

#include <span>
#include <string>

#include "advisor/probed_path.hpp"

namespace tpbench {

/// What a person reads of a probe: the pieces of each path with their fit's deviations, the times at some
/// sizes, and what carried the messages as far as is known.
std::string render_probe(std::span<const ProbedPath> paths);

}  // namespace tpbench
