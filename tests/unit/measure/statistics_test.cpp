#include "measure/statistics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace tpbench {
namespace {

using Ranks = std::pair<std::size_t, std::size_t>;

TEST(MedianIntervalRanks, AgreeWithThePublishedTable) {
  const std::vector<std::pair<std::size_t, Ranks>> table = {
      {6, {1, 6}},      {8, {1, 8}},       {10, {2, 9}},       {15, {4, 12}},
      {20, {6, 15}},    {30, {10, 21}},    {50, {18, 33}},     {100, {40, 61}},
      {200, {86, 115}}, {500, {228, 273}}, {1000, {469, 532}},
  };
  for (const auto& [samples, ranks] : table) EXPECT_EQ(median_interval_ranks(samples), ranks) << samples;
}

TEST(MedianIntervalRanks, AreNoneBelowSixSamples) {
  for (std::size_t n = 0; n < 6; ++n) EXPECT_FALSE(median_interval_ranks(n)) << n;
}

// Whole-number arithmetic: at most one fortieth of all 2^n outcomes lies below the lower rank.
TEST(MedianIntervalRanks, AreTheNarrowestThatCoverExactlyCounted) {
  std::vector<unsigned long long> binomials = {1};
  for (std::size_t n = 1; n <= 58; ++n) {
    std::vector<unsigned long long> next(n + 1, 1);
    for (std::size_t k = 1; k < n; ++k) next[k] = binomials[k - 1] + binomials[k];
    binomials = next;
    if (n < 6) continue;
    const auto [lower, upper] = median_interval_ranks(n).value();
    ASSERT_EQ(lower + upper, n + 1);
    const auto subsets = [&](std::size_t terms) {
      return std::accumulate(binomials.begin(), binomials.begin() + static_cast<std::ptrdiff_t>(terms), 0ULL);
    };
    EXPECT_LE(subsets(lower), (1ULL << n) / 40) << n;
    EXPECT_GT(subsets(lower + 1), (1ULL << n) / 40) << n;
  }
}

TEST(MedianIntervalRanks, FollowTheNormalLawForManySamples) {
  for (const std::size_t n : {10'000UL, 100'000UL, 1'000'000UL}) {
    const auto [lower, upper] = median_interval_ranks(n).value();
    const double expected = static_cast<double>(n) / 2 - 1.959964 * std::sqrt(static_cast<double>(n)) / 2;
    EXPECT_NEAR(static_cast<double>(lower), expected, 1.5) << n;
    EXPECT_EQ(lower + upper, n + 1);
  }
}

TEST(Quantile, InterpolatesBetweenOrderStatistics) {
  const std::vector<double> sorted = {1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(quantile_of_sorted(sorted, 0), 1);
  EXPECT_DOUBLE_EQ(quantile_of_sorted(sorted, 0.25), 1.75);
  EXPECT_DOUBLE_EQ(quantile_of_sorted(sorted, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile_of_sorted(sorted, 1), 4);
}

TEST(Summarise, SaysWhatTheSamplesSay) {
  std::vector<double> samples(100);
  std::iota(samples.begin(), samples.end(), 1.0);
  std::shuffle(samples.begin(), samples.end(), std::mt19937(1));  // the order must not matter
  const Summary summary = summarise(samples);
  EXPECT_DOUBLE_EQ(summary.median, 50.5);
  ASSERT_TRUE(summary.ci95);
  EXPECT_DOUBLE_EQ((*summary.ci95)[0], 40);
  EXPECT_DOUBLE_EQ((*summary.ci95)[1], 61);
  EXPECT_DOUBLE_EQ(summary.mean, 50.5);
  EXPECT_DOUBLE_EQ(summary.min, 1);
  EXPECT_DOUBLE_EQ(summary.max, 100);
  EXPECT_DOUBLE_EQ(summary.p95, 95.05);
  EXPECT_DOUBLE_EQ(summary.p99, 99.01);
  EXPECT_EQ(summary.samples, 100U);
  EXPECT_EQ(summary.outliers, 0U);
}

TEST(Summarise, CountsOutliersAndKeepsThem) {
  std::vector<double> samples = {10, 10, 11, 11, 12, 12, 1000, -500};
  const Summary summary = summarise(samples);
  EXPECT_EQ(summary.outliers, 2U);
  EXPECT_EQ(summary.samples, 8U);
  EXPECT_DOUBLE_EQ(summary.max, 1000);
  EXPECT_DOUBLE_EQ(summary.median, 11);
}

TEST(Summarise, HasNoIntervalForFewSamples) {
  EXPECT_FALSE(summarise(std::vector<double>{1, 2, 3, 4, 5}).ci95);
  EXPECT_TRUE(summarise(std::vector<double>{1, 2, 3, 4, 5, 6}).ci95);
  EXPECT_DOUBLE_EQ(summarise(std::vector<double>{7}).p99, 7);
  EXPECT_THROW(summarise({}), std::invalid_argument);
}

}  // namespace
}  // namespace tpbench
