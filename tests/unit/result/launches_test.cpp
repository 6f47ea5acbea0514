#include "result/launches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "result/student.hpp"
#include "result/two_samples.hpp"

namespace tpbench {
namespace {

using Values = std::vector<double>;
using Starts = std::vector<std::string>;

// ---- Student's law

TEST(Student, AgreesWithPublishedTables) {
  EXPECT_NEAR(student_quantile(0.05, 1), 12.7062, 1e-4);
  EXPECT_NEAR(student_quantile(0.05, 2), 4.30265, 1e-5);
  EXPECT_NEAR(student_quantile(0.05, 9), 2.26216, 1e-5);
  EXPECT_NEAR(student_quantile(0.20, 4), 1.53321, 1e-5);
  EXPECT_NEAR(student_quantile(0.05, 1e6), 1.95996, 1e-5);
  EXPECT_NEAR(student_p_value(2.26216, 9), 0.05, 1e-6);
}

TEST(Student, MovedIsThePowerOfATest) {
  EXPECT_NEAR(moved_student_p_value(4.30265, 2, 0), 0.05, 1e-4);
  EXPECT_NEAR(moved_student_p_value(1.95996, 1e6, 3.24151), 0.90, 1e-4);
  EXPECT_NEAR(moved_student_p_value(12.7062, 1, 0), 0.05, 1e-4);
  EXPECT_DOUBLE_EQ(moved_student_p_value(2, 5, 3), moved_student_p_value(2, 5, -3));
}

// ---- which launches are pairs

TEST(DesignOf, SeesTurns) {
  EXPECT_EQ(design_of(Starts{"10:00", "10:03"}, Starts{"10:01", "10:02"}), Design::alternated) << "A B B A";
  EXPECT_EQ(design_of(Starts{"10:00", "10:02"}, Starts{"10:01", "10:03"}), Design::alternated) << "A B A B";
  EXPECT_EQ(design_of(Starts{"10:03", "10:00"}, Starts{"10:02", "10:01"}), Design::alternated)
      << "in any order";
  EXPECT_EQ(design_of(Starts{"10:00", "10:01"}, Starts{"10:02", "10:03"}), Design::separate) << "A A B B";
  EXPECT_EQ(design_of(Starts{"10:00", "10:01", "10:05"}, Starts{"10:02", "10:03", "10:04"}),
            Design::separate);
  EXPECT_EQ(design_of(Starts{"10:00", "10:02", "10:04"}, Starts{"10:01", "10:03"}), Design::separate)
      << "one has no partner";
}

// ---- the numbers

TEST(TestLaunches, OfPairsIsStudentsOnTheDifferences) {
  const double e = std::exp(1.0);
  // Differences of the logarithms 1, 2, 3: mean 2, standard error 1/sqrt(3), t = 3.4641 with 2 degrees, p =
  // 0.0742.
  const auto test = test_launches(Values{1, 1, 1}, Values{e, e * e, e * e * e}, Design::alternated).value();
  EXPECT_NEAR(std::log(test.ratio), 2, 1e-12);
  EXPECT_NEAR(test.p_value, 0.0742, 1e-4);
  EXPECT_NEAR(std::log(test.ci95[0]), 2 - 4.30265 / std::sqrt(3.0), 1e-4);
  EXPECT_NEAR(std::log(test.ci95[1]), 2 + 4.30265 / std::sqrt(3.0), 1e-4);
  EXPECT_DOUBLE_EQ(test.rounds, 3);
  EXPECT_NEAR(test.round_variance, 1, 1e-12);
}

TEST(TestLaunches, OfSeparateLaunchesIsWelchs) {
  const Values a = {1, 1.1, 1.2, 1.3}, b = {1.5, 1.4};
  const auto test = test_launches(a, b, Design::separate).value();
  const RatioTest welch = welch_ratio_test(a, b);
  EXPECT_EQ(test.ci95, *welch.ci95);
  EXPECT_EQ(test.p_value, *welch.p_value);
  EXPECT_NEAR(test.rounds, 2 * 4 * 2 / 6.0, 1e-12);
  // Two rounds of the variance say what the standard error was.
  const double half = std::log(test.ci95[1] / test.ci95[0]) / 2;
  EXPECT_GT(half, std::sqrt(test.round_variance / test.rounds) * 1.96);
}

// Least squares by hand: slope 0.4964, intercept 0.103274 with a standard error of 0.007303, t(4) = 2.776445.
TEST(TestLaunches, BesideACompanionIsTheInterceptOfALine) {
  const Values companion = {-1.0, 0.5, 1.0, -0.2, 0.7, 0.3}, left = {0.01, -0.02, 0.015, 0.0, -0.01, 0.02};
  Values first(companion.size(), 2.0), second, none(companion.size(), 0.0);
  for (std::size_t i = 0; i < companion.size(); ++i)
    second.push_back(2 * std::exp(0.1 + 0.5 * companion[i] + left[i]));
  const auto test = test_launches_beside(first, second, {none, companion});
  ASSERT_TRUE(test);
  EXPECT_NEAR(std::log(test->ratio), 0.103274, 1e-5);
  EXPECT_NEAR(std::log(test->ci95[0]), 0.082997, 1e-5);
  EXPECT_NEAR(std::log(test->ci95[1]), 0.123551, 1e-5);
  EXPECT_LT(test->p_value, 0.001);
  EXPECT_GT(test_launches(first, second, Design::alternated)->p_value, 0.05);
  // As much can be seen as the interval says.
  EXPECT_NEAR(std::sqrt(test->round_variance / test->rounds) * student_quantile(0.05, test->rounds - 1),
              std::log(test->ci95[1] / test->ci95[0]) / 2, 1e-9);
  EXPECT_FALSE(test_launches_beside(first, second, {none, none}));
  const auto four = [](const Values& values) { return std::span(values).first(4); };
  EXPECT_FALSE(test_launches_beside(four(first), four(second), {four(none), four(companion)}));
}

TEST(TestLaunches, NeedsTwoPositiveValuesOnEachSide) {
  EXPECT_FALSE(test_launches(Values{1}, Values{2}, Design::alternated));
  EXPECT_FALSE(test_launches(Values{1}, Values{2, 3}, Design::separate));
  EXPECT_FALSE(test_launches(Values{0, 1}, Values{2, 3}, Design::alternated));
  EXPECT_EQ(test_launches(Values{1, 2}, Values{1, 2}, Design::alternated)->p_value, 1);
}

TEST(DetectableLog, FallsWithTheRounds) {
  // Many rounds: (1.95996 + 1.28155) x the standard error.
  EXPECT_NEAR(detectable_log(0.01, 1e6, Design::alternated), 3.24151e-4, 1e-8);
  EXPECT_LT(detectable_log(0.01, 4, Design::alternated), detectable_log(0.01, 3, Design::alternated));
  EXPECT_LT(detectable_log(0.01, 3, Design::separate), detectable_log(0.01, 3, Design::alternated))
      << "more degrees of freedom";
  EXPECT_GT(detectable_log(0.01, 3, Design::alternated, 0.001), detectable_log(0.01, 3, Design::alternated));
}

TEST(RoundsToDetect, IsTheFirstNumberThatDoes) {
  for (const double deviation : {0.001, 0.03, 0.12}) {
    for (const double difference : {0.05, 0.1}) {
      const double variance = deviation * deviation;
      const std::size_t rounds = rounds_to_detect(difference, variance, Design::alternated).value();
      const auto found = [&](std::size_t n) {
        return detectable_log(variance, static_cast<double>(n), Design::alternated) <= std::log1p(difference);
      };
      EXPECT_TRUE(found(rounds));
      EXPECT_TRUE(rounds == 2 || !found(rounds - 1));
    }
  }
  EXPECT_EQ(rounds_to_detect(0.1, 0, Design::alternated), 2U);
  EXPECT_FALSE(rounds_to_detect(0.1, 100, Design::alternated));
}

// ---- simulated launches: how often the words are right

// A machine whose launches differ, all cells of a launch together and each by itself, and which drifts.
struct Machine {
  double together = 0.10;  ///< standard deviation that all cells of a launch share
  double alone = 0.04;     ///< of each cell
  double drift = 0.02;     ///< from one launch to the next
  double memory = 0.5;     ///< how much a launch takes after the one before it
  double hit = 0;          ///< share of cells that a neighbour lengthens
  double hit_by = 0.4;
};

struct Sides {
  std::vector<Values> first, second;  // [cell][round]
};

Sides simulate(std::size_t cells, std::size_t rounds, const Machine& machine, double factor,
               std::mt19937& random) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  Sides sides = {std::vector<Values>(cells), std::vector<Values>(cells)};
  double state = normal(random);
  const auto launch = [&](std::vector<Values>& side, double time, double slower) {
    state = machine.memory * state + std::sqrt(1 - machine.memory * machine.memory) * normal(random);
    for (Values& cell : side) {
      const double hit = uniform(random) < machine.hit ? machine.hit_by : 0;
      cell.push_back(slower * std::exp(machine.together * state + machine.alone * normal(random) +
                                       machine.drift * time + hit));
    }
  };
  for (std::size_t round = 0; round < rounds; ++round) {
    const double time = 2 * static_cast<double>(round);
    const bool base_first = std::popcount(round) % 2 == 0;  // as scripts/alternate.sh has it
    if (base_first) launch(sides.first, time, 1);
    launch(sides.second, time + (base_first ? 1 : 0), factor);
    if (!base_first) launch(sides.first, time + 1, 1);
  }
  return sides;
}

// Share of the cells with an adjusted p of 5 %, as compare marks them.
double share_marked(const Sides& sides, Design design) {
  Values p_values;
  for (std::size_t i = 0; i < sides.first.size(); ++i)
    p_values.push_back(test_launches(sides.first[i], sides.second[i], design)->p_value);
  double marked = 0;
  for (const double p : adjusted_p_values(p_values)) marked += p <= 0.05 ? 1 : 0;
  return marked / static_cast<double>(p_values.size());
}

TEST(SimulatedLaunches, OfOneThingAreRarelyTakenForTwo) {
  std::mt19937 random(1);
  for (const Machine& machine :
       {Machine{}, Machine{.together = 0.01, .hit = 0.1}, Machine{.together = 0, .drift = 0.05}}) {
    for (const std::size_t rounds : {3, 4, 6, 10}) {
      constexpr int kExperiments = 2000;
      int found = 0, covered = 0;
      for (int i = 0; i < kExperiments; ++i) {
        const Sides sides = simulate(1, rounds, machine, 1.2, random);
        const LaunchTest test = *test_launches(sides.first[0], sides.second[0], Design::alternated);
        covered += test.ci95[0] <= 1.2 && 1.2 <= test.ci95[1] ? 1 : 0;
        const Sides alike = simulate(1, rounds, machine, 1, random);
        found += test_launches(alike.first[0], alike.second[0], Design::alternated)->p_value <= 0.05 ? 1 : 0;
      }
      EXPECT_LE(found, 0.065 * kExperiments) << rounds << " rounds, together " << machine.together;
      EXPECT_GE(covered, 0.935 * kExperiments) << rounds << " rounds, together " << machine.together;
    }
  }
}

// Where all cells of a launch move together, wrong marks come together as well: in few comparisons, and many
// then.
TEST(SimulatedLaunches, OfOneThingHaveAtMostFivePercentOfTheirCellsMarked) {
  std::mt19937 random(2);
  for (const std::size_t rounds : {3, 5, 10}) {
    double marked = 0;
    constexpr int kExperiments = 150;
    for (int i = 0; i < kExperiments; ++i)
      marked += share_marked(simulate(200, rounds, {}, 1, random), Design::alternated) / kExperiments;
    EXPECT_LE(marked, 0.05) << rounds;
  }
}

TEST(SimulatedLaunches, ShowWhatTheySayTheyShow) {
  std::mt19937 random(3);
  const Machine machine = {.together = 0, .alone = 0.05, .drift = 0};
  for (const std::size_t rounds : {3, 5, 10, 20}) {
    const double variance = 2 * machine.alone * machine.alone;
    const double factor = std::exp(detectable_log(variance, static_cast<double>(rounds), Design::alternated));
    constexpr int kExperiments = 2000;
    int found = 0;
    for (int i = 0; i < kExperiments; ++i) {
      const Sides sides = simulate(1, rounds, machine, factor, random);
      found += test_launches(sides.first[0], sides.second[0], Design::alternated)->p_value <= 0.05 ? 1 : 0;
    }
    EXPECT_NEAR(found, 0.90 * kExperiments, 0.02 * kExperiments) << rounds;
  }
}

// A user's path: a few rounds, as many more as they ask for, and the difference that was there is found.
TEST(SimulatedLaunches, AskForEnoughRounds) {
  std::mt19937 random(4);
  const Machine machine = {.together = 0.03, .alone = 0.03, .drift = 0.01};
  for (const double difference : {0.05, 0.10}) {
    double share = 0;
    constexpr int kExperiments = 8;
    for (int i = 0; i < kExperiments; ++i) {
      const Sides look = simulate(200, 4, machine, 1 + difference, random);
      std::vector<std::size_t> asked;
      for (std::size_t cell = 0; cell < look.first.size(); ++cell) {
        const auto test = test_launches(look.first[cell], look.second[cell], Design::alternated);
        asked.push_back(rounds_to_detect(difference, test->round_variance, Design::alternated).value());
      }
      std::sort(asked.begin(), asked.end());
      const std::size_t rounds = asked[asked.size() * 9 / 10];
      share += share_marked(simulate(200, rounds, machine, 1 + difference, random), Design::alternated) /
               kExperiments;
    }
    EXPECT_GE(share, 0.9) << difference;
  }
}

TEST(SimulatedLaunches, TellMoreWhenTheyTakeTurns) {
  std::mt19937 random(5);
  const Machine machine = {.together = 0.1, .alone = 0.01, .drift = 0, .memory = 0.95};
  double alternated = 0, separate = 0;
  for (int i = 0; i < 200; ++i) {
    const Sides sides = simulate(1, 6, machine, 1, random);
    alternated += test_launches(sides.first[0], sides.second[0], Design::alternated)->round_variance;
    separate += test_launches(sides.first[0], sides.second[0], Design::separate)->round_variance;
  }
  EXPECT_LT(alternated, separate / 2);
}

}  // namespace
}  // namespace tpbench
