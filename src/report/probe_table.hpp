#pragma once

#include <span>
#include <string>
#include <vector>

#include "advisor/probed_path.hpp"
#include "report/document.hpp"

namespace tpbench {

/// What a person reads of a probe: the pieces of each path with their fit's deviations, the times at some
/// sizes, and what carried the messages as far as is known.
std::vector<Section> probe_sections(std::span<const ProbedPath> paths);
inline std::string render_probe(std::span<const ProbedPath> paths) { return to_text(probe_sections(paths)); }

}  // namespace tpbench
