// One clock for all ranks, and steps that begin at one moment of it. ctest runs these a second time with an
// offset and a drift in one rank's clock (tests/support/skewed_clock.cpp).
#include "measure/clock.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "comm/common_clock.hpp"
#include "comm/step_start.hpp"
#include "held_up.hpp"
#include "kernel_time.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

bool is_skewed() { return std::getenv("TPBENCH_SKEWED_CLOCK") != nullptr; }

// What this rank takes the kernel's time for, less that time: the same on all ranks if their clocks are one.
std::int64_t ahead_ns(const CommonClock& clock) {
  std::vector<std::int64_t> ahead;
  for (int i = 0; i < 21; ++i) {
    const std::int64_t before = now_ns(), kernel = kernel_ns(), after = now_ns();
    ahead.push_back(clock.common_ns(before + (after - before) / 2) - kernel);
  }
  std::nth_element(ahead.begin(), ahead.begin() + 10, ahead.end());
  return ahead[10];
}

double difference_s(const CommonClock& clock) {
  std::int64_t ends[] = {ahead_ns(clock), 0};
  ends[1] = -ends[0];
  world().reduce_max(ends);
  return static_cast<double>(ends[0] + ends[1]) * 1e-9;
}

// Reading two clocks at one moment is not exact either, least of all with more ranks than cores.
constexpr double kReading_s = 20e-6;

void expect_one_time(CommonClock& clock, std::int64_t domains) {
  EXPECT_EQ(clock.is_one_clock(), domains == 1);
  clock.restart();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  clock.measure();
  const double difference = difference_s(clock);
  const ClockQuality quality = clock.quality();
  EXPECT_EQ(quality.domains, domains);
  EXPECT_LE(difference, quality.worst_case_s + kReading_s);
  EXPECT_LE(quality.worst_case_s, 1) << "half a round trip";
  if (domains == 1) {
    EXPECT_EQ(quality.error_s, 0);
    EXPECT_TRUE(clock.is_aligned());
    return;
  }
  EXPECT_GT(quality.error_s, 0);
  EXPECT_GT(quality.worst_case_s, 0);
  EXPECT_EQ(quality.offset_s.size(), world().rank() == 0 ? static_cast<std::size_t>(domains) : 0U);
  const std::int64_t moment = now_ns();
  EXPECT_NEAR(static_cast<double>(clock.own_ns(clock.common_ns(moment)) - moment), 0, 1);
}

TEST(CommonClock, IsThatOfTheKernel) {
  CommonClock clock(world());
  if (!is_skewed()) {
    EXPECT_EQ(clock.domain(), 0);
    EXPECT_EQ(clock.common_ns(12345), 12345);
  }
  // Nobody says that rank 1's clock is another one: it shows.
  expect_one_time(clock, is_skewed() && world().size() > 1 ? world().size() : 1);
}

TEST(CommonClock, IsMeasuredBetweenDomains) {
  // As on hosts with two ranks each; a skewed rank 1 is on a host of its own.
  const int host = is_skewed() ? world().rank() : world().rank() / 2;
  CommonClock clock(world(), "host " + std::to_string(host));
  EXPECT_EQ(clock.domain(), host);
  EXPECT_FALSE(clock.is_aligned() && !clock.is_one_clock()) << "nothing is measured yet";
  expect_one_time(clock, is_skewed() ? world().size() : (world().size() + 1) / 2);
}

TEST(CommonClock, SeesADrift) {
  if (!is_skewed() || world().size() < 2) GTEST_SKIP() << "no clock drifts";
  CommonClock clock(world());
  clock.restart();
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  clock.measure();
  const ClockQuality quality = clock.quality();
  const double doubt_ppm = 1e6 * 2 * quality.worst_case_s / 1.5;
  EXPECT_NEAR(quality.drift_ppm, 50, doubt_ppm + 5);
}

TEST(StepStart, HasAllBeginAtOneMoment) {
  CommonClock clock(world());
  clock.restart();
  StepStart start(world(), clock);
  if (!clock.is_aligned()) GTEST_SKIP() << "these clocks are not known well enough just now";
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(start.agree() || start.late_starts() > 0);
    start.wait();
    if (world().size() == 1) {
      EXPECT_EQ(start.start_ns(), 0);
      continue;
    }
    EXPECT_GE(now_ns(), start.start_ns());
    const std::int64_t moment = clock.common_ns(start.start_ns());
    EXPECT_LE(std::abs(world().max(moment) - moment), 1) << "the moment is another on this rank";
  }
  start.conclude();
  EXPECT_EQ(start.starts(), world().size() == 1 ? 0 : 50);
  EXPECT_EQ(world().max(start.late_starts()), start.late_starts()) << "ranks count differently";
}

TEST(StepStart, FindsOutThatARankHeardTooLate) {
  if (world().size() == 1) GTEST_SKIP() << "nobody to hear from";
  CommonClock clock(world());
  clock.restart();
  if (!clock.is_aligned()) GTEST_SKIP() << "these clocks are not known well enough just now";
  StepStart start(world(), clock);
  start.agree();
  start.wait();
  if (world().rank() == 1) hold_up_all_reduce(1, std::chrono::milliseconds(100));
  start.agree();
  start.wait();
  const std::int64_t before = start.late_starts();
  EXPECT_FALSE(start.agree()) << "rank 1 heard 100 ms after the moment";
  EXPECT_EQ(start.late_starts(), before + 1);
  start.conclude();
}

TEST(StepStart, StaysBehindABarrierWithoutACommonClock) {
  if (world().size() == 1) GTEST_SKIP() << "one clock";
  CommonClock clock(world(), "host " + std::to_string(world().rank()));
  StepStart start(world(), clock);
  EXPECT_FALSE(start.names_a_moment());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(start.agree());
    EXPECT_EQ(start.start_ns(), 0);
    start.wait();
  }
  EXPECT_TRUE(start.conclude());
  EXPECT_EQ(start.starts(), 0);
}

}  // namespace
}  // namespace tpbench::test
