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
  StopRule rule(kSettings);
  rule.add(equal(8));
  EXPECT_TRUE(rule.converged());
  EXPECT_EQ(rule.next_batch(0.01, 1e-3), 2U);
}

TEST(StopRule, HasNoIntervalBelowSixSamples) {
  StopRule rule({.min_samples = 1, .max_samples = 200, .max_seconds = 5, .target_ci = 0.02});
  rule.add(equal(5));
  EXPECT_FALSE(rule.converged());
  EXPECT_EQ(rule.next_batch(0.01, 1e-3), 1U);
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

TEST(StopRule, TakesTheHalfWidthAgainstTheMedian) {
  // Of six samples the interval is from the smallest to the largest: the half-width is 2 % of 100.
  StopRule rule({.min_samples = 6, .max_samples = 200, .max_seconds = 5, .target_ci = 0.02});
  rule.add(std::vector<double>{98, 100, 100, 100, 100, 102});
  EXPECT_TRUE(rule.converged());
  StopRule narrower({.min_samples = 6, .max_samples = 200, .max_seconds = 5, .target_ci = 0.019});
  narrower.add(std::vector<double>{98, 100, 100, 100, 100, 102});
  EXPECT_FALSE(narrower.converged());
}

TEST(StopRule, DoesNotCareForTheOrderOfSamples) {
  std::mt19937 random(7);
  std::vector<double> samples;
  for (int i = 0; i < 100; ++i) samples.push_back(1 + static_cast<double>(random() % 1000) * 1e-4);
  StopRule whole(kSettings), pieces(kSettings);
  whole.add(samples);
  std::shuffle(samples.begin(), samples.end(), random);
  for (std::size_t at = 0; at < samples.size(); at += 20) pieces.add(std::span(samples).subspan(at, 20));
  EXPECT_EQ(whole.converged(), pieces.converged());
  EXPECT_EQ(whole.next_batch(0.1, 1), pieces.next_batch(0.1, 1));
}

}  // namespace
}  // namespace tpbench
