#include "advisor/alpha_beta.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <stdexcept>

namespace tpbench {
namespace {

using Curve = std::function<double(double)>;

// Powers of two from 8 bytes on, each with its cost.
std::vector<TimedSize> points_of(const Curve& cost, std::int64_t largest = 16 << 20) {
  std::vector<TimedSize> points;
  for (std::int64_t bytes = 8; bytes <= largest; bytes *= 2)
    points.push_back({bytes, cost(static_cast<double>(bytes))});
  return points;
}

// Every time multiplied by something within 1 +- `share`, the same in every run.
std::vector<TimedSize> with_noise(std::vector<TimedSize> points, double share, unsigned seed) {
  std::mt19937 random(seed);
  for (TimedSize& point : points) {
    const double unit = static_cast<double>(random()) / static_cast<double>(std::mt19937::max());
    point.seconds *= 1 + share * (2 * unit - 1);
  }
  return points;
}

double line(double bytes) { return 3e-6 + 2e-9 * bytes; }
// Eager below 4096 bytes; above it a handshake, and a faster copy.
double eager_line(double bytes) { return bytes < 4096 ? 1e-6 + 1e-9 * bytes : 9e-6 + 0.25e-9 * bytes; }

TEST(FitAlphaBeta, FindsWhatALineWasMadeOf) {
  const AlphaBeta model = fit_alpha_beta(points_of(line));
  EXPECT_NEAR(model.alpha_s, 3e-6, 1e-15);
  EXPECT_NEAR(model.beta_s_per_byte, 2e-9, 1e-18);
  EXPECT_LT(model.max_deviation, 1e-9);
  EXPECT_LE(model.median_deviation, model.max_deviation);
}

// By hand: sizes 1 and 3 at 1 s and 2 s, and 3 at 4 s. Relative residuals a+b-1, (a+3b-2)/2, (a+3b-4)/4; the
// line may go through the first, and a+3b = c then minimises (c/2-1)^2 + (c/4-1)^2: c = 2.4, b = 0.7, a =
// 0.3.
TEST(FitAlphaBeta, WeighsByRelativeDeviation) {
  const AlphaBeta model = fit_alpha_beta(std::vector<TimedSize>{{1, 1}, {3, 2}, {3, 4}});
  EXPECT_NEAR(model.alpha_s, 0.3, 1e-12);
  EXPECT_NEAR(model.beta_s_per_byte, 0.7, 1e-12);
  EXPECT_NEAR(model.max_deviation, 0.4, 1e-12);
  EXPECT_NEAR(model.median_deviation, 0.2, 1e-12);
}

TEST(FitAlphaBeta, StandsNoise) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    const AlphaBeta model = fit_alpha_beta(with_noise(points_of(line), 0.05, seed));
    EXPECT_NEAR(model.alpha_s, 3e-6, 0.05 * 3e-6) << seed;
    EXPECT_NEAR(model.beta_s_per_byte, 2e-9, 0.05 * 2e-9) << seed;
    EXPECT_LT(model.max_deviation, 0.1) << seed;
    EXPECT_GT(model.max_deviation, 0.01) << seed;
  }
}

// Measured times that fall below the proportional ones would make the start-up negative.
TEST(FitAlphaBeta, IsNeverNegative) {
  const std::vector<TimedSize> steep = {{1000, 1}, {2000, 3}, {4000, 7}};
  const AlphaBeta through_origin = fit_alpha_beta(steep);
  EXPECT_EQ(through_origin.alpha_s, 0);
  // beta = sum(n / t) / sum(n^2 / t^2)
  const double ratio[] = {1000, 2000 / 3.0, 4000 / 7.0};
  double sum = 0, squares = 0;
  for (const double r : ratio) sum += r, squares += r * r;
  EXPECT_NEAR(through_origin.beta_s_per_byte, sum / squares, 1e-15);

  const AlphaBeta constant = fit_alpha_beta(std::vector<TimedSize>{{1, 3}, {2, 2}, {3, 1}});
  EXPECT_EQ(constant.beta_s_per_byte, 0) << "larger messages are no cheaper";
  EXPECT_NEAR(constant.alpha_s, (1 / 3.0 + 1 / 2.0 + 1) / (1 / 9.0 + 1 / 4.0 + 1), 1e-12);
}

TEST(FitAlphaBeta, OneSizeHasNoSlope) {
  const AlphaBeta model = fit_alpha_beta(std::vector<TimedSize>{{8, 2}, {8, 2}});
  EXPECT_EQ(model.beta_s_per_byte, 0);
  EXPECT_DOUBLE_EQ(model.alpha_s, 2);
}

TEST(FitAlphaBeta, RefusesWhatIsNoTime) {
  EXPECT_THROW(fit_alpha_beta({}), std::invalid_argument);
  EXPECT_THROW(fit_alpha_beta(std::vector<TimedSize>{{8, 0}}), std::invalid_argument);
  EXPECT_THROW(fit_alpha_beta(std::vector<TimedSize>{{8, std::nan("")}}), std::invalid_argument);
  EXPECT_THROW(fit_by_search({}, 2), std::invalid_argument);
}

TEST(FitBySearch, FindsTheBreakpoint) {
  for (unsigned seed = 0; seed <= 20; ++seed) {
    const auto pieces = fit_by_search(with_noise(points_of(eager_line), seed == 0 ? 0 : 0.02, seed), 4);
    ASSERT_EQ(pieces.size(), 2U) << seed;
    EXPECT_EQ(pieces[0].from_bytes, 8);
    EXPECT_EQ(pieces[0].to_bytes, 2048);
    EXPECT_EQ(pieces[1].from_bytes, 4096);
    EXPECT_EQ(pieces[1].to_bytes, 16 << 20);
    EXPECT_EQ(pieces[0].points + pieces[1].points, 22U);
    EXPECT_NEAR(pieces[0].model.beta_s_per_byte, 1e-9, 0.05e-9);
    EXPECT_NEAR(pieces[1].model.beta_s_per_byte, 0.25e-9, 0.02e-9);
  }
}

TEST(FitBySearch, LeavesALineWhole) {
  for (unsigned seed = 0; seed <= 20; ++seed)
    EXPECT_EQ(fit_by_search(with_noise(points_of(line), seed == 0 ? 0 : 0.05, seed), 4).size(), 1U) << seed;
}

TEST(FitBySearch, FindsThreePiecesAndNoMoreThanAllowed) {
  const Curve cost = [](double bytes) { return bytes < 1 << 18 ? eager_line(bytes) : 1e-4 + 4e-9 * bytes; };
  const auto pieces = fit_by_search(points_of(cost), 4);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[2].from_bytes, 1 << 18);
  EXPECT_EQ(fit_by_search(points_of(cost), 1).size(), 1U);
  EXPECT_EQ(fit_by_search(points_of(cost), 2).size(), 2U);
}

TEST(FitBySearch, TakesFewPointsAsTheyAre) {
  for (std::int64_t largest : {8, 16, 32, 64}) {
    const auto pieces = fit_by_search(points_of(eager_line, largest), 4);
    ASSERT_EQ(pieces.size(), 1U);
    EXPECT_EQ(pieces[0].to_bytes, largest);
  }
}

TEST(FitAtLimit, CutsWhereItIsTold) {
  const auto [pieces, used] = fit_at_limit(points_of(eager_line), 4096, 1);
  EXPECT_TRUE(used);
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces[0].to_bytes, 2048) << "4096 bytes and a header are more than the limit";
  EXPECT_EQ(pieces[1].from_bytes, 4096);
  EXPECT_LT(pieces[0].model.max_deviation + pieces[1].model.max_deviation, 1e-9);
}

TEST(FitAtLimit, SearchesEachSide) {
  // A bucket that lets 256 KiB pass unshaped, as a shaped link does.
  const Curve cost = [](double bytes) { return bytes < 1 << 18 ? eager_line(bytes) : 1e-4 + 8e-9 * bytes; };
  const auto [pieces, used] = fit_at_limit(points_of(cost), 4096, 2);
  EXPECT_TRUE(used);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[2].from_bytes, 1 << 18);
  EXPECT_NEAR(pieces[2].model.beta_s_per_byte, 8e-9, 1e-11);
}

TEST(FitAtLimit, SaysWhereThereIsTooLittleBehindIt) {
  EXPECT_FALSE(fit_at_limit(points_of(eager_line, 8192), 4096, 2).limit_used);
  EXPECT_TRUE(fit_at_limit(points_of(eager_line, 16384), 4096, 2).limit_used);
  EXPECT_FALSE(fit_at_limit(points_of(eager_line), 32, 2).limit_used);
}

TEST(CostS, GoesByThePieceThatTheSizeIsIn) {
  const auto pieces = fit_at_limit(points_of(eager_line), 4096, 1).pieces;
  EXPECT_NEAR(cost_s(pieces, 100), eager_line(100), 1e-12);
  EXPECT_NEAR(cost_s(pieces, 3000), eager_line(3000), 1e-12) << "between two measured sizes: the lower piece";
  EXPECT_NEAR(cost_s(pieces, 5000), eager_line(5000), 1e-12);
  EXPECT_NEAR(cost_s(pieces, 1), eager_line(1), 1e-12);
  EXPECT_THROW(cost_s({}, 1), std::invalid_argument);
}

}  // namespace
}  // namespace tpbench
