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

TEST(MedianIntervalRanks, OfFewerEffectiveSamplesLieAsFarOutInPartsOfAll) {
  for (const std::size_t n : {6UL, 7UL, 10UL, 33UL, 200UL, 1000UL})
    EXPECT_EQ(median_interval_ranks(n, n), median_interval_ranks(n)) << n;
  // Of 10 it is (2, 9), 3.5 to each side of the middle: 10 times that in 100.
  EXPECT_EQ(median_interval_ranks(100, 10), (Ranks{15, 86}));
  // Of 6 it is (1, 6), 2.5 to each side: of 20, 8.33 to each side of 10.5, and rounded outwards.
  EXPECT_EQ(median_interval_ranks(20, 6), (Ranks{2, 19}));
  EXPECT_FALSE(median_interval_ranks(1000, 5));
  for (std::size_t n = 6; n < 60; ++n) {
    for (std::size_t effective = 6; effective <= n; ++effective) {
      const auto [lower, upper] = median_interval_ranks(n, effective).value();
      ASSERT_GE(lower, 1U) << n << " " << effective;
      ASSERT_LE(lower, median_interval_ranks(n)->first) << n << " " << effective;
      ASSERT_EQ(lower + upper, n + 1) << n << " " << effective;
    }
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
  std::vector<double> samples;
  for (int i = 1; i <= 50; ++i)
    samples.insert(samples.end(), {static_cast<double>(i), static_cast<double>(101 - i)});
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
  EXPECT_EQ(summary.effective_samples, 100U);
  EXPECT_EQ(summary.outliers, 0U);
}

TEST(Summarise, WidensTheIntervalOfSamplesThatFollowEachOther) {
  // Slow and fast for five steps each, in turns.
  std::vector<double> samples;
  for (int i = 0; i < 200; ++i) samples.push_back(i / 5 % 2 == 0 ? 10 + i * 1e-3 : 11 + i * 1e-3);
  const Summary summary = summarise(samples), independent = summarise(samples, samples.size());
  EXPECT_LT(summary.effective_samples, 100U);
  EXPECT_GE(summary.effective_samples, 20U);
  EXPECT_EQ(independent.effective_samples, 200U);
  EXPECT_LT((*summary.ci95)[0], (*independent.ci95)[0]);
  EXPECT_GT((*summary.ci95)[1], (*independent.ci95)[1]);
  EXPECT_EQ(summary.median, independent.median);

  std::vector<double> drift(50);
  std::iota(drift.begin(), drift.end(), 1.0);
  EXPECT_FALSE(summarise(drift).ci95) << "a drift is hardly one independent sample";
  EXPECT_EQ(summarise(drift).effective_samples, 1U);
  EXPECT_TRUE(summarise(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9}).ci95) << "too few to tell";
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
