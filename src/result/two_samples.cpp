#include "result/two_samples.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "measure/statistics.hpp"
#include "result/student.hpp"

namespace tpbench {
namespace {

constexpr double kMiss = 0.05;           // 1 - confidence
constexpr std::size_t kMostBlocks = 24;  // and the largest set that is counted exactly
constexpr std::size_t kFewValues = 6;    // below it quartiles mean nothing

std::vector<double> sorted_copy(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// Ranks from 1; equal values share the mean of theirs.
std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t from = 0; from < order.size();) {
    std::size_t to = from;
    while (to + 1 < order.size() && values[order[to + 1]] == values[order[from]]) ++to;
    for (std::size_t i = from; i <= to; ++i) ranks[order[i]] = static_cast<double>(from + to) / 2 + 1;
    from = to + 1;
  }
  return ranks;
}

// ---- Mann-Whitney

// The law of U when nothing differs: P(U = u) for u = 0 ... m n. Counted by the generating function: the ways
// to choose are multiplied by (1 - x^(n + i)) / (1 - x^i) for i = 1 ... m.
std::vector<double> law_of_u(std::size_t m, std::size_t n) {
  std::vector<double> ways(m * n + 1, 0.0);
  ways[0] = 1;
  for (std::size_t i = 1; i <= m; ++i) {
    for (std::size_t u = m * n; u + 1 > n + i; --u) ways[u] -= ways[u - (n + i)];
    for (std::size_t u = i; u <= m * n; ++u) ways[u] += ways[u - i];
  }
  const double total = std::accumulate(ways.begin(), ways.end(), 0.0);
  for (double& way : ways) way /= total;
  return ways;
}

// Pairs in which the second set's value is the larger; equal ones count half.
double count_u(std::span<const double> first, std::span<const double> second) {
  double u = 0;
  for (const double a : first) {
    for (const double b : second) u += b > a ? 1.0 : b == a ? 0.5 : 0.0;
  }
  return u;
}

// Standard deviation of U by the normal law, less what ties take from it.
double deviation_of_u(std::span<const double> first, std::span<const double> second) {
  std::vector<double> all(first.begin(), first.end());
  all.insert(all.end(), second.begin(), second.end());
  std::sort(all.begin(), all.end());
  const double m = static_cast<double>(first.size()), n = static_cast<double>(second.size()), total = m + n;
  double ties = 0;
  for (auto from = all.begin(); from != all.end();) {
    const auto to = std::upper_bound(from, all.end(), *from);
    const double count = static_cast<double>(to - from);
    ties += count * count * count - count;
    from = to;
  }
  return std::sqrt(m * n / 12 * (total + 1 - ties / (total * (total - 1))));
}

bool has_ties(std::span<const double> first, std::span<const double> second) {
  std::vector<double> all(first.begin(), first.end());
  all.insert(all.end(), second.begin(), second.end());
  std::sort(all.begin(), all.end());
  return std::adjacent_find(all.begin(), all.end()) != all.end();
}

bool is_small(std::span<const double> first, std::span<const double> second) {
  return std::max(first.size(), second.size()) <= kMostBlocks;
}

double rank_p_value(std::span<const double> first, std::span<const double> second) {
  const double u = count_u(first, second);
  const double pairs = static_cast<double>(first.size() * second.size());
  const double tail = std::min(u, pairs - u);
  if (is_small(first, second) && !has_ties(first, second)) {
    const std::vector<double> law = law_of_u(first.size(), second.size());
    const auto count = static_cast<std::ptrdiff_t>(std::lround(tail)) + 1;
    return std::min(1.0, 2 * std::accumulate(law.begin(), law.begin() + count, 0.0));
  }
  const double deviation = deviation_of_u(first, second);
  if (deviation <= 0) return 1;  // all values are one
  const double distance = std::max(0.0, pairs / 2 - tail - 0.5) / deviation;
  return std::erfc(distance / std::sqrt(2.0));
}

// How many of the sorted ratios of pairs lie outside the interval on each side; empty when even none misses
// the confidence.
std::optional<std::size_t> pairs_outside(std::size_t m, std::size_t n) {
  const std::vector<double> law = law_of_u(m, n);
  double tail = 0;
  std::size_t outside = 0;
  while (outside < law.size() && tail + law[outside] <= kMiss / 2) tail += law[outside++];
  return outside == 0 ? std::nullopt : std::optional(outside - 1);
}

// ---- Welch

struct LogMoments {
  double mean = 0;
  double variance_of_mean = 0;
  double freedom = 0;
};

LogMoments log_moments(std::span<const double> values) {
  const double n = static_cast<double>(values.size());
  LogMoments moments;
  for (const double value : values) moments.mean += std::log(value) / n;
  double squares = 0;
  for (const double value : values) squares += std::pow(std::log(value) - moments.mean, 2);
  moments.freedom = n - 1;
  moments.variance_of_mean = squares / moments.freedom / n;
  return moments;
}

bool all_positive(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return value > 0; });
}

}  // namespace

RatioTest rank_ratio_test(std::span<const double> first, std::span<const double> second) {
  if (first.empty() || second.empty()) return {};
  const auto outside =
      pairs_outside(std::min(first.size(), kMostBlocks), std::min(second.size(), kMostBlocks));
  if (!outside) return {};
  RatioTest test;
  test.p_value = rank_p_value(first, second);
  // The law is counted up to kMostBlocks a side; larger sets take the normal law's count.
  std::size_t cut = *outside;
  if (!is_small(first, second)) {
    const double m = static_cast<double>(first.size()), n = static_cast<double>(second.size());
    cut = static_cast<std::size_t>(std::max(0.0, m * n / 2 - 1.959964 * std::sqrt(m * n * (m + n + 1) / 12)));
  }
  if (!all_positive(first)) return test;
  std::vector<double> ratios;
  for (const double a : first) {
    for (const double b : second) ratios.push_back(b / a);
  }
  std::sort(ratios.begin(), ratios.end());
  test.ci95 = {ratios[cut], ratios[ratios.size() - 1 - cut]};
  return test;
}

RatioTest welch_ratio_test(std::span<const double> first, std::span<const double> second) {
  if (first.size() < 2 || second.size() < 2 || !all_positive(first) || !all_positive(second)) return {};
  const LogMoments a = log_moments(first), b = log_moments(second);
  const double difference = b.mean - a.mean, variance = a.variance_of_mean + b.variance_of_mean;
  const double ratio = std::exp(difference);
  if (variance <= 0) return {.ci95 = {{ratio, ratio}}, .p_value = difference == 0 ? 1.0 : 0.0};
  const double freedom = variance * variance /
                         (a.variance_of_mean * a.variance_of_mean / a.freedom +
                          b.variance_of_mean * b.variance_of_mean / b.freedom);
  const double half = student_quantile(kMiss, freedom) * std::sqrt(variance);
  return {.ci95 = {{std::exp(difference - half), std::exp(difference + half)}},
          .p_value = student_p_value(difference / std::sqrt(variance), freedom)};
}

double autocorrelation_time(std::span<const double> samples) {
  const std::vector<double> ranks = ranks_of(samples);  // outliers must not decide
  const double middle = (static_cast<double>(samples.size()) + 1) / 2;
  const auto correlation = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t i = 0; i + lag < ranks.size(); ++i)
      sum += (ranks[i] - middle) * (ranks[i + lag] - middle);
    return sum;
  };
  const double variance = correlation(0);
  if (variance <= 0) return 1;
  double time = 1;
  for (std::size_t lag = 1; lag < samples.size() / 2; ++lag) {
    const double share = correlation(lag) / variance;
    if (share <= 0) break;
    time += 2 * share;
  }
  return time;
}

std::vector<double> block_medians(std::span<const double> samples) {
  if (samples.empty()) return {};
  const double worth = static_cast<double>(samples.size()) / autocorrelation_time(samples);
  const std::size_t blocks = std::clamp<std::size_t>(static_cast<std::size_t>(worth), 1, kMostBlocks);
  std::vector<double> medians;
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t from = i * samples.size() / blocks, to = (i + 1) * samples.size() / blocks;
    medians.push_back(quantile_of_sorted(sorted_copy(samples.subspan(from, to - from)), 0.5));
  }
  return medians;
}

double spread_of(std::span<const double> values) {
  if (values.empty() || !all_positive(values)) return 0;
  const std::vector<double> sorted = sorted_copy(values);
  return std::log(quantile_of_sorted(sorted, sorted.size() < kFewValues ? 1.0 : 0.75) / sorted.front());
}

std::vector<double> adjusted_p_values(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double smallest = 1;
  for (std::size_t place = order.size(); place > 0; --place) {
    const double number = static_cast<double>(order.size());
    smallest = std::min(smallest, p_values[order[place - 1]] * number / static_cast<double>(place));
    adjusted[order[place - 1]] = smallest;
  }
  return adjusted;
}

}  // namespace tpbench
