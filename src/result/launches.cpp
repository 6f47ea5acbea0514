#include "result/launches.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "result/student.hpp"
#include "result/two_samples.hpp"

namespace tpbench {
namespace {

constexpr double kLevel = 0.05;  // 1 - confidence
constexpr double kPower = 0.90;

std::vector<std::string> sorted(std::span<const std::string> values) {
  std::vector<std::string> copy(values.begin(), values.end());
  std::sort(copy.begin(), copy.end());
  return copy;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double variance_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares / static_cast<double>(values.size() - 1);
}

std::vector<double> logs_of(std::span<const double> values) {
  std::vector<double> logs;
  for (const double value : values) logs.push_back(std::log(value));
  return logs;
}

std::vector<double> differences_of(const std::vector<double>& first, const std::vector<double>& second) {
  std::vector<double> differences(first.size());
  std::transform(second.begin(), second.end(), first.begin(), differences.begin(), std::minus<>());
  return differences;
}

LaunchTest test_pairs(const std::vector<double>& first, const std::vector<double>& second) {
  const std::vector<double> differences = differences_of(first, second);
  const double rounds = static_cast<double>(differences.size());
  const double mean = mean_of(differences), variance = variance_of(differences);
  LaunchTest test = {.ratio = std::exp(mean),
                     .ci95 = {std::exp(mean), std::exp(mean)},
                     .p_value = mean == 0 ? 1.0 : 0.0,
                     .rounds = rounds,
                     .round_variance = variance,
                     .design = Design::alternated};
  if (variance <= 0) return test;
  const double error = std::sqrt(variance / rounds), half = student_quantile(kLevel, rounds - 1) * error;
  test.ci95 = {std::exp(mean - half), std::exp(mean + half)};
  test.p_value = student_p_value(mean / error, rounds - 1);
  return test;
}

// A prediction interval: where one more launch of the baseline would lie.
LaunchTest test_new_one(const std::vector<double>& baseline, double value) {
  const double rounds = static_cast<double>(baseline.size()), shift = value - mean_of(baseline);
  LaunchTest test = {.ratio = std::exp(shift),
                     .ci95 = {std::exp(shift), std::exp(shift)},
                     .p_value = shift == 0 ? 1.0 : 0.0,
                     .rounds = rounds,
                     .round_variance = variance_of(baseline) * (rounds + 1),
                     .design = Design::rolling};
  if (test.round_variance <= 0) return test;
  const double error = std::sqrt(test.round_variance / rounds),
               half = student_quantile(kLevel, rounds - 1) * error;
  test.ci95 = {std::exp(shift - half), std::exp(shift + half)};
  test.p_value = student_p_value(shift / error, rounds - 1);
  return test;
}

// Depends on the number of launches alone, which most cells of a comparison share.
double critical_t(double level, double freedom) {
  thread_local std::map<std::pair<double, double>, double> known;
  const auto [found, is_new] = known.try_emplace({level, freedom});
  if (is_new) found->second = student_quantile(level, freedom);
  return found->second;
}

// In standard errors.
double find_detectable_shift(double level, double freedom) {
  const double t = critical_t(level, freedom);
  double low = 0, high = 2 * t + 4;  // by halving
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (moved_student_p_value(t, freedom, middle) < kPower ? low : high) = middle;
  }
  return high;
}

double detectable_shift(double level, double freedom) {
  thread_local std::map<std::pair<double, double>, double> known;
  const auto [found, is_new] = known.try_emplace({level, freedom});
  if (is_new) found->second = find_detectable_shift(level, freedom);
  return found->second;
}

double freedom_of(double rounds, Design design) {
  return design == Design::separate ? 2 * (rounds - 1) : rounds - 1;
}

}  // namespace

Design design_of(std::span<const std::string> first, std::span<const std::string> second) {
  if (first.size() != second.size()) return Design::separate;
  const std::vector<std::string> a = sorted(first), b = sorted(second);
  for (std::size_t i = 0; i + 1 < a.size(); ++i) {
    if (std::max(a[i], b[i]) > std::min(a[i + 1], b[i + 1])) return Design::separate;
  }
  return Design::alternated;
}

std::optional<LaunchTest> test_launches(std::span<const double> first, std::span<const double> second,
                                        Design design) {
  const auto is_positive = [](double value) { return value > 0; };
  const std::size_t least = design == Design::rolling ? 1 : 2;
  const bool usable = first.size() >= 2 && second.size() >= least &&
                      std::all_of(first.begin(), first.end(), is_positive) &&
                      std::all_of(second.begin(), second.end(), is_positive);
  if (!usable) return std::nullopt;
  const std::vector<double> a = logs_of(first), b = logs_of(second);
  if (design == Design::alternated) return test_pairs(a, b);
  if (design == Design::rolling) return test_new_one(a, b.front());
  const RatioTest welch = welch_ratio_test(first, second);
  const double m = static_cast<double>(a.size()), n = static_cast<double>(b.size());
  LaunchTest test = {.ratio = std::exp(mean_of(b) - mean_of(a)),
                     .ci95 = *welch.ci95,
                     .p_value = *welch.p_value,
                     .rounds = 2 * m * n / (m + n),
                     .round_variance = 0,
                     .design = design};
  test.round_variance = (variance_of(a) / m + variance_of(b) / n) * test.rounds;
  return test;
}

std::optional<LaunchTest> test_launches_beside(std::span<const double> first, std::span<const double> second,
                                               const Companion& companion) {
  constexpr std::size_t kFewest = 5;
  const auto plain = test_launches(first, second, Design::alternated);
  if (first.size() < kFewest || !plain) return std::nullopt;
  const std::vector<double> y = differences_of(logs_of(first), logs_of(second)),
                            x = differences_of({companion.first.begin(), companion.first.end()},
                                               {companion.second.begin(), companion.second.end()});
  if (variance_of(x) <= 0) return std::nullopt;
  const double rounds = plain->rounds, mean_x = mean_of(x), mean_y = mean_of(y);
  double of_x = 0, of_both = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    of_x += (x[i] - mean_x) * (x[i] - mean_x);
    of_both += (x[i] - mean_x) * (y[i] - mean_y);
  }
  const double slope = of_both / of_x, shift = mean_y - slope * mean_x;
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double left = y[i] - shift - slope * x[i];
    squares += left * left;
  }
  const double freedom = rounds - 2;
  const double error = std::sqrt(squares / freedom * (1 / rounds + mean_x * mean_x / of_x));
  LaunchTest test = {.ratio = std::exp(shift),
                     .ci95 = {std::exp(shift), std::exp(shift)},
                     .p_value = shift == 0 ? 1.0 : 0.0,
                     .rounds = rounds,
                     .round_variance = 0,
                     .design = Design::alternated};
  if (error <= 0) return test;
  const double t = critical_t(kLevel, freedom), wider = t / critical_t(kLevel, rounds - 1);
  test.ci95 = {std::exp(shift - t * error), std::exp(shift + t * error)};
  test.p_value = student_p_value(shift / error, freedom);
  // Of a round of pairs that are tested without a slope and see as much.
  test.round_variance = error * error * rounds * wider * wider;
  return test;
}

double detectable_log(double round_variance, double rounds, Design design, double level) {
  return detectable_shift(level, freedom_of(rounds, design)) * std::sqrt(round_variance / rounds);
}

std::optional<std::size_t> rounds_to_detect(double difference, double round_variance, Design design) {
  if (design == Design::rolling) return std::nullopt;  // one new launch scatters however long the baseline is
  constexpr std::size_t kMost = 10000, kFewest = 2;
  // No fewer than if the variance were known.
  const double known = 1.959964 + 1.281552, change = std::log1p(difference);
  const double least = round_variance * known * known / (change * change);
  if (!(least <= static_cast<double>(kMost))) return std::nullopt;
  for (std::size_t count = std::max(kFewest, static_cast<std::size_t>(least)); count <= kMost; ++count) {
    const double rounds = static_cast<double>(count), freedom = freedom_of(rounds, design);
    if (round_variance <= 0) return count;
    const double errors = change / std::sqrt(round_variance / rounds);
    if (moved_student_p_value(critical_t(kLevel, freedom), freedom, errors) >= kPower) return count;
  }
  return std::nullopt;
}

}  // namespace tpbench
