#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace tpbench {

/// 1-based order statistics (lower, upper) whose interval covers the median with at least 95 % probability,
/// whatever the distribution: the narrowest symmetric pair with binomial coverage. Empty below 6 samples:
/// there is none.
std::optional<std::pair<std::size_t, std::size_t>> median_interval_ranks(std::size_t samples);

/// The same for samples that are worth only `effective` independent ones, at most `samples` and at least 1:
/// as far from the middle, in parts of the samples, as the interval of `effective` ones. Empty where
/// `effective` is below 6.
std::optional<std::pair<std::size_t, std::size_t>> median_interval_ranks(std::size_t samples,
                                                                         std::size_t effective);

/// What is said about a set of samples. Units are those of the samples.
struct Summary {
  double median = 0;
  std::optional<std::array<double, 2>>
      ci95;  ///< nonparametric interval of the median; empty below 6 effective samples
  double mean = 0;
  double min = 0;
  double max = 0;
  double p95 = 0;  ///< quantiles by linear interpolation between order statistics (Hyndman and Fan, type 7)
  double p99 = 0;
  std::size_t samples = 0;
  std::optional<std::size_t> effective_samples =
      {};  ///< independent ones that ci95 counts them as; empty when it was
           ///< read from a record that counted each as one
  std::size_t outliers =
      0;  ///< further than 1.5 interquartile ranges from the quartiles; counted, never removed
};

/// Summarises `samples`, which is not empty, oldest first. `effective`: how many independent samples they are
/// to count as, from 1 to their number; when it is empty, effective_samples() (measure/correlation.hpp).
Summary summarise(std::span<const double> samples, std::optional<std::size_t> effective = std::nullopt);

/// Quantile q in [0, 1] of sorted samples, type 7.
double quantile_of_sorted(std::span<const double> sorted, double q);

}  // namespace tpbench
