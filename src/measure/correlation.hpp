#pragma once

#include <cstddef>
#include <span>

namespace tpbench {

/// How many independent samples these, of one run and oldest first, are worth for their median: their number
/// over the integrated autocorrelation time of their ranks, which is rather taken too long than too short;
/// rounded down, at least 1. Fewer than 10 cannot tell: those are taken as independent. Depends on nothing
/// but the samples; takes O(n log n). docs/methodology.md, section 2, has the formulas.
std::size_t effective_samples(std::span<const double> samples);

}  // namespace tpbench
