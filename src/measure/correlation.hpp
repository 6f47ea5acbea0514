#pragma once

#include <span>

namespace tpbench {

/// Samples of one run, oldest first, that count as one independent sample: the integrated autocorrelation time
/// of their ranks, rather too long than too short. At least 1, and 1 for samples that are all equal.
/// Depends on nothing but the samples; takes O(n log n). docs/methodology.md, section 2, has the formulas.
double autocorrelation_time(std::span<const double> samples);

}  // namespace tpbench
