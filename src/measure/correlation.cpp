#include "measure/correlation.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace tpbench {
namespace {

constexpr std::size_t kFewestToTell = 10;
constexpr std::size_t kMostBlocks = 1024;  // bounds the lags that are looked at, and so the cost
constexpr double kStandardErrors = 0.5;  // by which a correlation that shows is taken for more than it seems
constexpr double kLargestCorrelation = 0.99;

// Ranks from 1 less their mean, so that outliers do not decide; equal values share the mean of theirs.
std::vector<double> centred_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  const double middle = (static_cast<double>(values.size()) + 1) / 2;
  for (std::size_t from = 0; from < order.size();) {
    std::size_t to = from;
    while (to + 1 < order.size() && values[order[to + 1]] == values[order[from]]) ++to;
    for (std::size_t i = from; i <= to; ++i)
      ranks[order[i]] = static_cast<double>(from + to) / 2 + 1 - middle;
    from = to + 1;
  }
  return ranks;
}

// Means of as many neighbours as it takes to have no more than kMostBlocks; what is left over is the newest.
std::vector<double> block_means(std::span<const double> values) {
  const std::size_t size = (values.size() + kMostBlocks - 1) / kMostBlocks;
  std::vector<double> means;
  for (std::size_t at = 0; at + size <= values.size(); at += size) {
    const auto block = values.subspan(at, size);
    means.push_back(std::accumulate(block.begin(), block.end(), 0.0) / static_cast<double>(size));
  }
  return means;
}

// Mean of the products of values that are `lag` apart; the values have mean 0.
double covariance(std::span<const double> values, std::size_t lag) {
  return std::inner_product(values.begin() + static_cast<std::ptrdiff_t>(lag), values.end(), values.begin(),
                            0.0) /
         static_cast<double>(values.size() - lag);
}

// By the correlation of neighbours alone, as if it decayed from lag to lag by the same factor.
double first_order_time(double neighbours, double n) {
  double correlation =
      neighbours + (1 + 3 * neighbours) / n;  // Kendall (1954): by so much it comes out too small
  if (neighbours * neighbours * n > 1)
    correlation += kStandardErrors * std::sqrt((1 - neighbours * neighbours) / n);
  correlation = std::clamp(correlation, 0.0, kLargestCorrelation);
  return (1 + correlation) / (1 - correlation);
}

// The sum over the lags until the first correlation that chance alone may have made: it finds what lasts
// longer than the neighbours' correlation tells. `first_guess` says by how much the mean of correlated
// samples hides them.
double summed_time(std::span<const double> values, double variance, double first_guess) {
  const double n = static_cast<double>(values.size());
  const double hidden = std::min(first_guess / n, 1.0 / 3);
  double time = 1, lags = 0;
  for (std::size_t lag = 1; lag < values.size() / 2; ++lag) {
    const double correlation = (covariance(values, lag) / variance + hidden) / (1 + hidden);
    if (correlation * correlation * n <= 1 || correlation < 0) break;
    time += 2 * correlation;
    lags = static_cast<double>(lag);
  }
  return time * (1 + kStandardErrors * std::sqrt(4 * lags / n));  // Madras and Sokal (1988)
}

// Samples that count as one.
double autocorrelation_time(std::span<const double> samples) {
  const std::vector<double> ranks = centred_ranks(samples);
  const double of_samples = covariance(ranks, 0);
  if (of_samples <= 0) return 1;
  const std::vector<double> blocks = block_means(ranks);
  const double of_blocks = covariance(blocks, 0);
  if (of_blocks <= 0) return 1;
  const double n = static_cast<double>(blocks.size());
  const double neighbours =
      covariance(blocks, 1) / of_blocks * (n - 1) / n;  // divided by n, as its bias asks for
  const double first = first_order_time(neighbours, n);
  const double in_blocks = std::max(first, summed_time(blocks, of_blocks, first));
  // What the variance of the samples' mean is to that of independent ones; that of the blocks' mean is the
  // same.
  const double block_size = static_cast<double>(samples.size() / blocks.size());
  return std::max(1.0, in_blocks * block_size * of_blocks / of_samples);
}

}  // namespace

std::size_t effective_samples(std::span<const double> samples) {
  if (samples.size() < kFewestToTell) return samples.size();
  const double worth = static_cast<double>(samples.size()) / autocorrelation_time(samples);
  return std::max<std::size_t>(1, static_cast<std::size_t>(worth));
}

}  // namespace tpbench
