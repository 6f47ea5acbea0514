#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "base/enum_names.hpp"

namespace tpbench {

/// How much time passed between the launches of two sides that are compared.
enum class Design {
  alternated,  ///< the i-th launches of both sides follow each other: each two are a pair
  separate,    ///< the launches of a side are not tied to those of the other
  rolling      ///< one new launch against those of a baseline
};

/// Whether the i-th launches of both sides, by their start, come before the next of either: A B B A, A B A B.
/// `first` and `second` are the starts as ISO 8601 in UTC, in any order. Never of sides that differ in size.
Design design_of(std::span<const std::string> first, std::span<const std::string> second);

/// What several launches on each side say of "the second is RATIO times the first", from one positive value
/// per launch. docs/compare.md has the reasons and the sources.
struct LaunchTest {
  double ratio = 1;                     ///< of the geometric means
  std::array<double, 2> ci95 = {1, 1};  ///< Student's, over launches
  double p_value = 1;                   ///< two-sided, of "no difference"
  double rounds = 0;          ///< pairs; of separate launches the harmonic mean of both numbers; of a
                              ///< rolling baseline its launches
  double round_variance = 0;  ///< of the logarithm of the ratio that one round gives
  Design design = Design::alternated;
};

/// Alternated: Student's t on the differences of the logarithms, launch by launch as they stand. Separate:
/// Welch's t on the logarithms. Rolling: Student's t of one new value against the scatter of the baseline,
/// (y - mean) / (s sqrt(1 + 1/n)), which takes the new side to scatter as the baseline does. Empty with fewer
/// than two launches on a side that may not have one, and with values that are not above 0.
std::optional<LaunchTest> test_launches(std::span<const double> first, std::span<const double> second,
                                        Design design);

/// A quantity that may go along with what is compared, as a logarithm: one value for each launch of both
/// sides.
struct Companion {
  std::span<const double> first, second;
};

/// Of launches in turn, with what goes along with a companion taken out: the difference where the companion
/// does not differ, by least squares over the pairs. Mean and slope take two degrees of freedom, and the
/// interval has what the slope is uncertain by. Empty below five pairs, where the companion differs by the
/// same in all of them, and where `test_launches` is empty.
std::optional<LaunchTest> test_launches_beside(std::span<const double> first, std::span<const double> second,
                                               const Companion& companion);

/// The difference, as a logarithm, that `rounds` rounds like these would find with a probability of 90 % when
/// found means a p-value of at most `level`. Two rounds or more.
double detectable_log(double round_variance, double rounds, Design design, double level = 0.05);

/// The smallest number of rounds that would find log(1 + `difference`) like that, at 5 %; empty beyond 10000.
std::optional<std::size_t> rounds_to_detect(double difference, double round_variance, Design design);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Design, {tpbench::Design::alternated, "alternated"},
                   {tpbench::Design::separate, "separate"}, {tpbench::Design::rolling, "rolling"});
