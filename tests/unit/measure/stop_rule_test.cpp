#include "measure/stop_rule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace tpbench {
namespace {

constexpr StopSettings kSettings = {
    .min_samples = 10, .max_samples = 200, .max_seconds = 5, .target_ci = 0.02};

std::vector<double> equal(std::size_t count) { return std::vector<double>(count, 1e-3); }

// 1 ms and 2 ms in turn: an interval that never gets narrow.
std::vector<double> torn(std::size_t count) {
  std::vector<double> samples;
  for (std::size_t i = 0; i < count; ++i) samples.push_back(i % 2 == 0 ? 1e-3 : 2e-3);
  return samples;
}

TEST(StopRule, BeginsWithTheFewestSamplesAskedFor) {
  EXPECT_EQ(StopRule(kSettings).next_batch(0, 1e-3), 10U);
}

TEST(StopRule, BeginsWithWhatTheTimeAllows) {
  EXPECT_EQ(StopRule(kSettings).next_batch(0, 2.0), 2U);
  EXPECT_EQ(StopRule(kSettings).next_batch(0, 60.0), 1U) << "one sample is always taken";
  EXPECT_EQ(StopRule(kSettings).next_batch(9, 1e-3), 1U) << "one sample is always taken";
  EXPECT_EQ(StopRule(kSettings).next_batch(0, 0), 10U) << "a step too short to be seen";
}

TEST(StopRule, StopsWhenTheIntervalIsNarrow) {
  StopRule rule(kSettings);
  rule.add(equal(10));
  EXPECT_TRUE(rule.converged());
  EXPECT_EQ(rule.next_batch(0.01, 1e-3), 0U);
}

TEST(StopRule, DoesNotStopBelowTheFewestSamples) {
  StopRule rule({.min_samples = 20, .max_samples = 200, .max_seconds = 5, .target_ci = 0.02});
  rule.add(equal(12));
  EXPECT_TRUE(rule.converged());
  EXPECT_EQ(rule.next_batch(0.01, 1e-3), 8U);
}

// Eight that are alike may be neighbours of one moment.
TEST(StopRule, IsNotConvincedByEightSamples) {
  StopRule rule({.min_samples = 1, .max_samples = 200, .max_seconds = 5, .target_ci = 0.02});
  rule.add(equal(5));
  EXPECT_FALSE(rule.converged());
  EXPECT_EQ(rule.next_batch(0.01, 1e-3), 1U);
  rule.add(equal(3));
  EXPECT_FALSE(rule.converged());
  rule.add(equal(1));
  EXPECT_TRUE(rule.converged());
}

TEST(StopRule, GoesOnByAQuarterWhileTheIntervalIsWide) {
  StopRule rule(kSettings);
  rule.add(torn(40));
  EXPECT_FALSE(rule.converged());
  EXPECT_EQ(rule.next_batch(0.1, 1e-3), 10U);
}

TEST(StopRule, StopsAtTheCapOnSamples) {
  StopRule rule(kSettings);
  rule.add(torn(190));
  EXPECT_EQ(rule.next_batch(0.1, 1e-3), 10U) << "no more than are left";
  rule.add(torn(10));
  EXPECT_EQ(rule.next_batch(0.1, 1e-3), 0U);
  EXPECT_FALSE(rule.converged());
}

TEST(StopRule, StopsAtTheCapOnSecondsEvenBelowTheFewestSamples) {
  StopRule rule(kSettings);
  rule.add(torn(2));
  EXPECT_EQ(rule.next_batch(5.0, 1e-3), 0U);
}

TEST(StopRule, AsksForNoMoreThanTheTimeLeftAllows) {
  StopRule rule(kSettings);
  const std::vector<double> slow(4, 1.0);
  rule.add(slow);
  EXPECT_EQ(rule.next_batch(4.0, 1e-3), 1U) << "what was measured counts, not what was expected";
  EXPECT_EQ(rule.next_batch(3.0, 1e-3), 2U);
}

// A cache that is flushed before each step, or three other ways of it that are run beside, cost time too.
TEST(StopRule, CountsWhatBelongsToASampleBesideItsStep) {
  StopRule rule(kSettings);
  rule.add(std::vector<double>(4, 0.25));
  EXPECT_EQ(rule.next_batch(4.0, 0.25), 1U) << "four steps of 0.25 s took four seconds";
}

TEST(StopRule, KeepsBatchesSmall) {
  StopRule rule({.min_samples = 5000, .max_samples = 10000, .max_seconds = 1000, .target_ci = 0.02});
  EXPECT_LE(rule.next_batch(0, 1e-6), 256U);
}

TEST(StopRule, AsksForWhatSeemsToBeMissing) {
  // Of 64 independent samples the interval is from the 24th to the 41st.
  std::vector<double> samples;
  for (int i = 0; i < 64; ++i) samples.push_back(100 + (i * 37 % 64 - 31.5) * 0.1);
  StopRule wide({.min_samples = 10, .max_samples = 200, .max_seconds = 1e6, .target_ci = 0.0001});
  StopRule nearly({.min_samples = 10, .max_samples = 200, .max_seconds = 1e6, .target_ci = 0.0083});
  StopRule narrow({.min_samples = 10, .max_samples = 200, .max_seconds = 1e6, .target_ci = 0.0086});
  for (StopRule* rule : {&wide, &nearly, &narrow}) rule->add(samples);
  EXPECT_EQ(wide.next_batch(0.1, 1e-3), 16U) << "a quarter, as what is known now may be wrong";
  EXPECT_EQ(nearly.next_batch(0.1, 1e-3), 4U) << "a sixteenth";
  EXPECT_EQ(nearly.next_batch(0.1, 1e-3), 4U) << "whoever asks again gets the same answer";
  EXPECT_EQ(narrow.next_batch(0.1, 1e-3), 0U);
}

TEST(StopRule, TakesTheHalfWidthAgainstTheMedian) {
  // Of twenty samples the interval is from the 6th to the 15th: the half-width is 2 % of 100.
  std::vector<double> samples;
  for (int i = 0; i < 20; ++i) samples.push_back(i % 2 == 0 ? 98 : 102);
  samples.push_back(100);
  StopRule rule({.min_samples = 6, .max_samples = 200, .max_seconds = 1e6, .target_ci = 0.02});
  rule.add(samples);
  EXPECT_TRUE(rule.converged());
  StopRule narrower({.min_samples = 6, .max_samples = 200, .max_seconds = 1e6, .target_ci = 0.0199});
  narrower.add(samples);
  EXPECT_FALSE(narrower.converged());
}

// The same values in two orders: as they come from independent steps, and from a machine that is slow for a
// while.
TEST(StopRule, CountsSamplesThatFollowEachOtherForLess) {
  std::mt19937 random(7);
  std::vector<double> samples;
  for (int i = 0; i < 100; ++i) samples.push_back(1 + static_cast<double>(random() % 1000) * 1e-4);
  StopRule mixed(kSettings), sorted(kSettings);
  mixed.add(samples);
  std::sort(samples.begin(), samples.end());
  sorted.add(samples);
  EXPECT_TRUE(mixed.converged());
  EXPECT_FALSE(sorted.converged());
  EXPECT_GT(sorted.next_batch(0.1, 1e-3), 0U);
}

TEST(StopRule, DoesNotCareInWhichBatchesSamplesCame) {
  std::mt19937 random(7);
  std::vector<double> samples;
  for (int i = 0; i < 100; ++i) samples.push_back(1 + static_cast<double>(random() % 1000) * 1e-4);
  StopRule whole(kSettings), pieces(kSettings);
  whole.add(samples);
  for (std::size_t at = 0; at < samples.size(); at += 20) pieces.add(std::span(samples).subspan(at, 20));
  EXPECT_EQ(whole.converged(), pieces.converged());
  EXPECT_EQ(whole.next_batch(0.1, 1), pieces.next_batch(0.1, 1));
}

}  // namespace
}  // namespace tpbench
