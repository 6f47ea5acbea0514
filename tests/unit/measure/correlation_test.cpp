#include "measure/correlation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "measure/statistics.hpp"
#include "measure/stop_rule.hpp"

namespace tpbench {
namespace {

using Values = std::vector<double>;

// Lognormal about 1, each value drawn towards the one before it: correlation^k between values that are k
// apart.
class Chain {
 public:
  Chain(double correlation, double spread, std::mt19937_64& random)
      : correlation_(correlation), spread_(spread), random_(random), state_(normal_(random)) {}

  Values take(std::size_t count) {
    Values values;
    for (; values.size() < count; values.push_back(std::exp(spread_ * state_)))
      state_ = correlation_ * state_ + std::sqrt(1 - correlation_ * correlation_) * normal_(random_);
    return values;
  }

 private:
  double correlation_, spread_;
  std::mt19937_64& random_;
  std::normal_distribution<double> normal_;
  double state_;
};

// Samples that count as one.
double time_of(const Values& values) {
  return static_cast<double>(values.size()) / static_cast<double>(effective_samples(values));
}

TEST(EffectiveSamples, AreThoseOfTheChain) {
  std::mt19937_64 random(1);
  for (const double correlation : {0.0, 0.3, 0.6, 0.8, 0.95}) {
    const double expected = (1 + correlation) / (1 - correlation);
    const auto typical = [&](std::size_t count) {
      Values times;
      for (int i = 0; i < 15; ++i) times.push_back(time_of(Chain(correlation, 0.05, random).take(count)));
      std::sort(times.begin(), times.end());
      return times[7];
    };
    // 20,000 are looked at in blocks of neighbours.
    for (const std::size_t count : {1000UL, 20'000UL}) {
      const double time = typical(count);
      EXPECT_GT(time, 0.9 * expected) << correlation << ", " << count;
      EXPECT_LT(time, 1.8 * expected)
          << correlation << ", " << count << ": rather too long, but not by that much";
    }
  }
}

TEST(EffectiveSamples, SeeWhatIsSlowUnderNoise) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal;
  Values values = Chain(0.95, 0.05, random).take(4000);
  for (double& value : values) value *= std::exp(0.05 * normal(random));
  // Neighbours have a correlation of 0.475, as if the time were 2.8; it is 1 + 0.475 x 2 / 0.05.
  EXPECT_GT(time_of(values), 13);
}

TEST(EffectiveSamples, AreAllWhereNothingFollows) {
  EXPECT_EQ(effective_samples(Values(50, 1.0)), 50U);
  EXPECT_EQ(effective_samples(Values{1}), 1U);
  EXPECT_EQ(effective_samples(Values{1, 2, 3, 4, 5, 6, 7, 8, 9}), 9U) << "too few to tell";
  Values alternating;
  for (int i = 0; i < 50; ++i) alternating.push_back(i % 2 == 0 ? 1 : 2);
  EXPECT_EQ(effective_samples(alternating), 50U) << "never worth more than they are";
}

TEST(EffectiveSamples, DoNotMindOutliersAndUnits) {
  std::mt19937_64 random(3);
  Values values = Chain(0.8, 0.05, random).take(500);
  const std::size_t effective = effective_samples(values);
  *std::max_element(values.begin(), values.end()) = 1e9;
  for (double& value : values) value *= 1e-6;
  EXPECT_EQ(effective_samples(values), effective);
}

TEST(EffectiveSamples, OfADriftAreFew) {
  Values drift(5000);
  std::iota(drift.begin(), drift.end(), 0.0);
  EXPECT_LT(effective_samples(drift), 6U);
}

// ---- What the intervals are worth, with the stop rule that ends sampling by them

struct Outcome {
  double samples = 0;      // mean number
  double width = 0;        // mean of the intervals
  double independent = 0;  // mean width that the same samples would have if they were independent
  double covered = 0;      // share of the intervals in which the median is
  double honest = 0;       // share of runs that cover the median or say that they have not converged
};

Outcome simulate(double correlation) {
  constexpr int kRuns = 4000;
  std::mt19937_64 random(11);
  Outcome sum;
  int intervals = 0;
  for (int run = 0; run < kRuns; ++run) {
    Chain chain(correlation, 0.05, random);
    StopRule rule({});
    Values samples;
    while (const std::size_t steps = rule.next_batch(0, 0)) {
      const Values batch = chain.take(steps);
      rule.add(batch);
      samples.insert(samples.end(), batch.begin(), batch.end());
    }
    sum.samples += static_cast<double>(samples.size()) / kRuns;
    const auto interval = summarise(samples).ci95, independent = summarise(samples, samples.size()).ci95;
    const bool covers = interval && (*interval)[0] <= 1 && (*interval)[1] >= 1;
    sum.honest += covers || !rule.converged() ? 1.0 / kRuns : 0;
    if (!interval) continue;
    ++intervals;
    sum.covered += covers ? 1 : 0;
    sum.width += (*interval)[1] - (*interval)[0];
    sum.independent += (*independent)[1] - (*independent)[0];
  }
  sum.covered /= intervals;
  return sum;
}

// Samples that a rule takes which believes all samples to be independent, and looks when a quarter more are
// there.
double samples_of_a_believer() {
  constexpr int kRuns = 4000;
  std::mt19937_64 random(11);
  double mean = 0;
  for (int run = 0; run < kRuns; ++run) {
    Values samples = Chain(0, 0.05, random).take(10);
    for (;;) {
      const Summary summary = summarise(samples, samples.size());
      if ((*summary.ci95)[1] - (*summary.ci95)[0] <= 2 * 0.02 * summary.median || samples.size() >= 200)
        break;
      const Values batch = Chain(0, 0.05, random).take(std::min(200 - samples.size(), samples.size() / 4));
      samples.insert(samples.end(), batch.begin(), batch.end());
    }
    mean += static_cast<double>(samples.size()) / kRuns;
  }
  return mean;
}

TEST(IntervalOfTheMedian, CoversItAlsoWhereSamplesFollowEachOther) {
  for (const double correlation : {0.0, 0.3, 0.6}) {
    const Outcome outcome = simulate(correlation);
    EXPECT_GE(outcome.covered, 0.94) << correlation;
    EXPECT_LE(outcome.covered, 0.98) << correlation << ": wider than it has to be";
  }
}

TEST(IntervalOfTheMedian, CoversItOrSaysThatItMayNot) {
  const Outcome outcome = simulate(0.9);
  EXPECT_GE(outcome.honest, 0.90);
  EXPECT_GE(outcome.covered, 0.86);
}

TEST(IntervalOfTheMedian, CostsLittleWhereSamplesAreIndependent) {
  const Outcome outcome = simulate(0);
  EXPECT_LE(outcome.width, 1.15 * outcome.independent);
  EXPECT_LE(outcome.samples, 1.2 * samples_of_a_believer());
}

}  // namespace
}  // namespace tpbench
