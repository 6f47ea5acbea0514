#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

namespace tpbench {

/// What two sets of positive values say about "the second is RATIO times the first". docs/compare.md has the
/// reasons and the sources.
struct RatioTest {
  std::optional<std::array<double, 2>> ci95;  ///< of the ratio; empty when there are too few values
  std::optional<double> p_value;              ///< two-sided, of "no difference"; empty likewise
};

/// Mann-Whitney, exact without ties and to 24 values on a side, by the normal law otherwise (corrected for
/// ties and continuity); the interval holds the ratios of pairs that the same test does not reject (Hodges
/// and Lehmann). Nothing is assumed about the distribution. Empty where even full separation is no evidence
/// at 5 % (3 against 3 values).
RatioTest rank_ratio_test(std::span<const double> first, std::span<const double> second);

/// Welch's t on logarithms: takes these to be normal, and needs two values on each side. For sets too small
/// for ranks.
RatioTest welch_ratio_test(std::span<const double> first, std::span<const double> second);

/// Samples of one run, oldest first, that count as one independent sample: the integrated autocorrelation
/// time of their ranks, summed until the first negative term. At least 1.
double autocorrelation_time(std::span<const double> samples);

/// Medians of consecutive blocks: as many as the samples are worth independent ones, at most 24. Neighbouring
/// steps are alike; medians of blocks hardly.
std::vector<double> block_medians(std::span<const double> samples);

/// How far the values spread above the fastest: log(upper quartile / minimum), the maximum in place of the
/// quartile for fewer than 6 values. 0 for values that are not all positive.
double spread_of(std::span<const double> values);

/// Benjamini and Hochberg: `p_values` adjusted for their number, in the same order. Marking those up to q
/// keeps the expected share of wrong marks among all marks at q or below.
std::vector<double> adjusted_p_values(std::span<const double> p_values);

}  // namespace tpbench
