#include "result/two_samples.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace tpbench {
namespace {

using Values = std::vector<double>;

// ---- Mann-Whitney

TEST(RankRatioTest, CountsTheExactLaw) {
  // Published tables: of C(n + m, n) orders as many have U at or below the one seen.
  EXPECT_DOUBLE_EQ(rank_ratio_test(Values{1, 2, 3, 4}, Values{5, 6, 7, 8}).p_value.value(), 2.0 / 70);
  EXPECT_DOUBLE_EQ(rank_ratio_test(Values{1, 2, 3, 5}, Values{4, 6, 7, 8}).p_value.value(), 4.0 / 70);
  EXPECT_DOUBLE_EQ(rank_ratio_test(Values{5, 6, 7, 8}, Values{1, 2, 3, 4}).p_value.value(), 2.0 / 70);
  EXPECT_DOUBLE_EQ(rank_ratio_test(Values{1, 2, 3, 4, 5, 6}, Values{7, 8, 9, 10, 11, 12}).p_value.value(),
                   2.0 / 924);
  EXPECT_DOUBLE_EQ(rank_ratio_test(Values{1, 3, 5, 7}, Values{2, 4, 6, 8}).p_value.value(), 48.0 / 70);
}

TEST(RankRatioTest, TakesTheNormalLawWithTies) {
  // U = 23 of 25 pairs; four pairs of equal values take 4 x (2^3 - 2) = 24 from the variance.
  const double z = (12.5 - 2 - 0.5) / std::sqrt(25.0 / 12 * (11 - 24.0 / 90));
  EXPECT_NEAR(rank_ratio_test(Values{1, 2, 2, 3, 4}, Values{3, 4, 5, 5, 6}).p_value.value(),
              std::erfc(z / std::sqrt(2.0)), 1e-12);
  EXPECT_EQ(rank_ratio_test(Values{1, 1, 1, 1}, Values{1, 1, 1, 1}).p_value, 1.0);
}

TEST(RankRatioTest, IsNoneWhereEvenSeparationIsNoEvidence) {
  EXPECT_FALSE(rank_ratio_test(Values{1, 2, 3}, Values{4, 5, 6}).p_value);
  EXPECT_FALSE(rank_ratio_test(Values{1, 2, 3}, Values{4, 5, 6}).ci95);
  EXPECT_FALSE(rank_ratio_test(Values{}, Values{4, 5, 6}).p_value);
  EXPECT_FALSE(rank_ratio_test(Values{1}, Values(20, 2.0)).p_value);
}

TEST(RankRatioTest, IntervalHoldsTheRatiosThatTheTestDoesNotReject) {
  // 4 against 4: P(U = 0) = 1/70 is the only step below 2.5 %, so no pair is cut.
  const auto all = rank_ratio_test(Values{10, 11, 12, 13}, Values{20, 22, 24, 26}).ci95.value();
  EXPECT_DOUBLE_EQ(all[0], 20.0 / 13);
  EXPECT_DOUBLE_EQ(all[1], 26.0 / 10);
  // 6 against 6: U of 0 to 5 lies in the tail (Mann and Whitney's table), so 5 pairs are cut on each side.
  const Values a = {1, 1, 1, 1, 1, 1}, b = {2, 3, 4, 5, 6, 7};
  const auto cut = rank_ratio_test(a, b).ci95.value();
  EXPECT_DOUBLE_EQ(cut[0], 2);
  EXPECT_DOUBLE_EQ(cut[1], 7);
  const Values fan = {1, 1.01, 1.02, 1.03, 1.04, 1.05};
  Values ratios;
  for (const double x : fan) {
    for (const double y : b) ratios.push_back(y / x);
  }
  std::sort(ratios.begin(), ratios.end());
  const auto interval = rank_ratio_test(fan, b).ci95.value();
  EXPECT_DOUBLE_EQ(interval[0], ratios[5]);
  EXPECT_DOUBLE_EQ(interval[1], ratios[30]);
}

TEST(RankRatioTest, OfManyValuesAgreesWithTheNormalLaw) {
  Values a, b;
  for (int i = 0; i < 40; ++i) {
    a.push_back(100 + i);
    b.push_back(100.5 + i + 10);
  }
  // U = pairs with b > a: 1600 - 29 * 30 / 2 = 1165; z = (1165 - 800 - 0.5) / sqrt(1600 * 81 / 12)
  const double z = 364.5 / std::sqrt(1600.0 * 81 / 12);
  EXPECT_NEAR(rank_ratio_test(a, b).p_value.value(), std::erfc(z / std::sqrt(2.0)), 1e-12);
  const auto ci95 = rank_ratio_test(a, b).ci95.value();
  EXPECT_LT(ci95[0], 1.09);
  EXPECT_GT(ci95[0], 1.0);
  EXPECT_GT(ci95[1], 1.09);
}

// ---- Welch

TEST(WelchRatioTest, AgreesWithStudent) {
  // Logarithms 0, 1, 2 against 3, 4, 5: t = 3 / sqrt(2/3) = 3.674 with 4 degrees of freedom, p = 0.02131; the
  // interval is 3 -+ 2.7764 sqrt(2/3).
  const double e = std::exp(1.0);
  const RatioTest test = welch_ratio_test(Values{1, e, e * e}, Values{e * e * e, std::exp(4), std::exp(5)});
  EXPECT_NEAR(test.p_value.value(), 0.02131, 1e-5);
  EXPECT_NEAR(std::log((*test.ci95)[0]), 3 - 2.776445 * std::sqrt(2.0 / 3), 1e-5);
  EXPECT_NEAR(std::log((*test.ci95)[1]), 3 + 2.776445 * std::sqrt(2.0 / 3), 1e-5);
}

TEST(WelchRatioTest, NeedsTwoPositiveValuesOnEachSide) {
  EXPECT_FALSE(welch_ratio_test(Values{1}, Values{1, 2, 3}).p_value);
  EXPECT_FALSE(welch_ratio_test(Values{0, 1}, Values{1, 2}).p_value);
  EXPECT_EQ(welch_ratio_test(Values{2, 2}, Values{3, 3}).p_value, 0.0);
  EXPECT_EQ(welch_ratio_test(Values{2, 2}, Values{2, 2}).p_value, 1.0);
}

// ---- samples that follow each other

// Lognormal about 1 ms, each sample drawn towards the one before it.
Values chained(std::size_t count, double memory, double spread, std::mt19937& random) {
  std::normal_distribution<double> normal;
  Values values;
  double state = normal(random);
  for (std::size_t i = 0; i < count; ++i) {
    state = memory * state + std::sqrt(1 - memory * memory) * normal(random);
    values.push_back(1e-3 * std::exp(spread * state));
  }
  return values;
}

TEST(AutocorrelationTime, IsOneOfIndependentSamplesAndTheSumOfTheChain) {
  std::mt19937 random(1);
  EXPECT_LT(autocorrelation_time(chained(4000, 0, 0.02, random)), 1.2);
  // (1 + 0.8) / (1 - 0.8) = 9
  EXPECT_NEAR(autocorrelation_time(chained(20000, 0.8, 0.02, random)), 9, 1.5);
  EXPECT_EQ(autocorrelation_time(Values(50, 1.0)), 1);
  EXPECT_EQ(autocorrelation_time(Values{1}), 1);
}

TEST(BlockMedians, AreAsManyAsTheSamplesAreWorth) {
  std::mt19937 random(2);
  EXPECT_EQ(block_medians(chained(500, 0, 0.02, random)).size(), 24U);
  EXPECT_LE(block_medians(chained(60, 0.9, 0.02, random)).size(), 12U);
  EXPECT_EQ(block_medians(Values{3, 1, 2}), (Values{3, 1, 2})) << "three independent samples";
  EXPECT_EQ(block_medians(Values{7}), Values{7});
  EXPECT_TRUE(block_medians(Values{}).empty());
  Values drift(100);
  for (std::size_t i = 0; i < drift.size(); ++i) drift[i] = static_cast<double>(i + 1);
  EXPECT_LE(block_medians(drift).size(), 6U) << "a drift is few independent samples";
}

// A plain test over the samples takes neighbours for witnesses; over blocks it does not.
TEST(BlockMedians, KeepTheTestHonestWhereSamplesFollowEachOther) {
  std::mt19937 random(3);
  int by_samples = 0, by_blocks = 0, independent = 0;
  constexpr int kRepeats = 160;
  for (int i = 0; i < kRepeats; ++i) {
    const Values a = chained(200, 0.8, 0.02, random), b = chained(200, 0.8, 0.02, random);
    by_samples += rank_ratio_test(a, b).p_value.value() < 0.05 ? 1 : 0;
    by_blocks += rank_ratio_test(block_medians(a), block_medians(b)).p_value.value_or(1) < 0.05 ? 1 : 0;
    const Values c = chained(200, 0, 0.02, random), d = chained(200, 0, 0.02, random);
    independent += rank_ratio_test(block_medians(c), block_medians(d)).p_value.value() < 0.05 ? 1 : 0;
  }
  EXPECT_GT(by_samples, kRepeats / 4);
  EXPECT_LT(by_blocks, kRepeats / 8);
  EXPECT_LT(independent, kRepeats / 12);
}

TEST(SpreadOf, IsFromTheFastestToTheUpperQuartile) {
  EXPECT_DOUBLE_EQ(spread_of(Values{5, 1, 2, 3, 4, 6, 7, 8, 9}), std::log(7.0));
  EXPECT_DOUBLE_EQ(spread_of(Values{1, 2, 5}), std::log(5.0)) << "few values: to the slowest";
  EXPECT_EQ(spread_of(Values{}), 0);
  EXPECT_EQ(spread_of(Values{0, 1}), 0);
}

TEST(AdjustedPValues, AgreeWithBenjaminiAndHochberg) {
  // Sorted 0.005, 0.01, 0.03, 0.04, times 4 over the place: 0.02, 0.02, 0.04, 0.04
  const Values adjusted = adjusted_p_values(Values{0.01, 0.04, 0.03, 0.005});
  const Values expected = {0.02, 0.04, 0.04, 0.02};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-15) << i;
  EXPECT_EQ(adjusted_p_values(Values{0.9, 0.8}), (Values{0.9, 0.9}));
  EXPECT_TRUE(adjusted_p_values(Values{}).empty());
}

}  // namespace
}  // namespace tpbench
