#include "measure/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "measure/correlation.hpp"

namespace tpbench {
std::optional<std::pair<std::size_t, std::size_t>> median_interval_ranks(std::size_t samples) {
  if (samples < 6) return std::nullopt;
  // Binomial(n, 1/2) weights from the middle downwards, relative to the middle one: the ratio of neighbours
  // is exact to rounding, and what is under 1e-25 of the middle cannot move a 2.5 % tail.
  const std::size_t middle = samples / 2;
  std::vector<double> weights = {1.0};
  for (std::size_t k = middle; k > 0 && weights.back() > 1e-25; --k) {
    weights.push_back(weights.back() * static_cast<double>(k) / static_cast<double>(samples - k + 1));
  }
  std::reverse(weights.begin(), weights.end());  // the smallest first: the tail sums up without loss
  const double half = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double total = samples % 2 == 1 ? 2 * half : 2 * half - 1;

  // The interval (l, n + 1 - l) misses the median with probability 2 P(B <= l - 1).
  std::size_t lower = middle + 1 - weights.size();
  double tail = 0;
  for (const double weight : weights) {
    tail += weight / total;
    if (tail > 0.025) break;
    ++lower;
  }
  return std::pair{lower, samples + 1 - lower};
}

std::optional<std::pair<std::size_t, std::size_t>> median_interval_ranks(std::size_t samples,
                                                                         std::size_t effective) {
  const auto ranks = median_interval_ranks(effective);
  if (!ranks) return std::nullopt;
  // Twice the distance of the ranks from the middle, stretched from `effective` to `samples`.
  const std::size_t apart = (ranks->second - ranks->first) * samples;
  const std::size_t lower =
      ((samples + 1) * effective - std::min(apart, (samples - 1) * effective)) / (2 * effective);
  return std::pair{lower, samples + 1 - lower};
}

double quantile_of_sorted(std::span<const double> sorted, double q) {
  if (sorted.empty()) throw std::invalid_argument("quantile_of_sorted: no samples");
  const double place = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Summary summarise(std::span<const double> samples, std::optional<std::size_t> effective) {
  if (samples.empty()) throw std::invalid_argument("summarise: no samples");
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());

  Summary summary;
  summary.samples = sorted.size();
  summary.median = quantile_of_sorted(sorted, 0.5);
  summary.effective_samples = effective ? *effective : effective_samples(samples);
  if (const auto ranks = median_interval_ranks(sorted.size(), *summary.effective_samples)) {
    summary.ci95 = {sorted[ranks->first - 1], sorted[ranks->second - 1]};
  }
  summary.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
  summary.min = sorted.front();
  summary.max = sorted.back();
  summary.p95 = quantile_of_sorted(sorted, 0.95);
  summary.p99 = quantile_of_sorted(sorted, 0.99);

  const double first_quartile = quantile_of_sorted(sorted, 0.25);
  const double third_quartile = quantile_of_sorted(sorted, 0.75);
  const double reach = 1.5 * (third_quartile - first_quartile);
  summary.outliers = static_cast<std::size_t>(std::count_if(sorted.begin(), sorted.end(), [&](double value) {
    return value < first_quartile - reach || value > third_quartile + reach;
  }));
  return summary;
}

}  // namespace tpbench
