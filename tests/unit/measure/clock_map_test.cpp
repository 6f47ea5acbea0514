#include "measure/clock_map.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>

namespace tpbench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

// Trips between two clocks: this one is ahead by `offset_ns`, and by `drift` more with each nanosecond. Each
// way takes 20 us and, one time in three, something more.
std::vector<RoundTrip> make_trips(std::size_t count, std::int64_t offset_ns, double drift,
                                  std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::exponential_distribution<double> held_up(1.0 / 30'000);
  const auto way_ns = [&] {
    return 20'000 + static_cast<std::int64_t>(random() % 100) +
           (random() % 3 == 0 ? static_cast<std::int64_t>(held_up(random)) : 0);
  };
  std::vector<RoundTrip> trips;
  std::int64_t other_ns = 900'000 * kSecond;
  const std::int64_t began_ns = other_ns;
  const auto own = [&] {
    return other_ns + offset_ns + std::llround(drift * static_cast<double>(other_ns - began_ns));
  };
  for (std::size_t i = 0; i < count; ++i) {
    RoundTrip trip;
    trip.sent_ns = own();
    other_ns += way_ns();
    trip.answered_ns = other_ns;
    other_ns += way_ns();
    trip.received_ns = own();
    trips.push_back(trip);
  }
  return trips;
}

TEST(EstimateOffset, IsRightWithinItsErrorWhateverHoldsMessagesUp) {
  constexpr int kTimes = 200;
  int covered = 0;
  for (int seed = 0; seed < kTimes; ++seed) {
    const double drift = seed % 2 == 0 ? 0 : 50e-6;
    const std::int64_t offset_ns = -77'123'456'789'012;
    const ClockAnchor anchor =
        estimate_offset(make_trips(400, offset_ns, drift, static_cast<std::uint64_t>(seed)));
    const double began_ns = static_cast<double>(900'000 * kSecond + offset_ns);
    const double true_ns =
        static_cast<double>(offset_ns) + drift * (static_cast<double>(anchor.at_ns) - began_ns);
    if (std::abs(static_cast<double>(anchor.offset_ns) - true_ns) <= anchor.error_ns) ++covered;
    EXPECT_LT(anchor.error_ns, 2000) << "seed " << seed;
    EXPECT_NEAR(anchor.worst_case_ns, 20'000, 200);
  }
  EXPECT_GE(covered, kTimes * 99 / 100);
}

TEST(EstimateOffset, TakesASingleTrip) {
  const ClockAnchor anchor = estimate_offset(std::vector<RoundTrip>{{100, 1060, 120}});
  EXPECT_EQ(anchor.at_ns, 110);
  EXPECT_EQ(anchor.offset_ns, -950);
  EXPECT_EQ(anchor.worst_case_ns, 10);
}

TEST(ClockMap, WithoutAnchorsIsOneClock) {
  const ClockMap map;
  EXPECT_EQ(map.other_ns(12345), 12345);
  EXPECT_EQ(map.own_ns(12345), 12345);
  EXPECT_EQ(map.error_ns(), 0);
  EXPECT_EQ(map.drift_ppm(), 0);
}

TEST(ClockMap, DrawsStraightLinesBetweenAnchors) {
  ClockMap map;
  map.add({1000 * kSecond, 500, 10, 100});
  EXPECT_EQ(map.offset_ns(2000 * kSecond), 500) << "one anchor says nothing of a drift";
  map.add({1010 * kSecond, 10'500, 20, 90});
  map.add({1020 * kSecond, 20'500, 15, 95});
  EXPECT_EQ(map.offset_ns(1005 * kSecond), 5'500);
  EXPECT_EQ(map.offset_ns(1015 * kSecond), 15'500);
  EXPECT_EQ(map.offset_ns(1030 * kSecond), 30'500) << "goes on as before";
  EXPECT_EQ(map.offset_ns(990 * kSecond), -9'500);
  EXPECT_NEAR(map.drift_ppm(), 1, 1e-9);
  EXPECT_EQ(map.error_ns(), 20);
  EXPECT_EQ(map.worst_case_ns(), 100);
  for (const std::int64_t own : {995 * kSecond, 1003 * kSecond, 1017 * kSecond, 1500 * kSecond})
    EXPECT_NEAR(static_cast<double>(map.own_ns(map.other_ns(own)) - own), 0, 1);
}

TEST(ClockMap, DoesNotTakeItsErrorsForADrift) {
  ClockMap map;
  map.add({1000 * kSecond, 500, 300, 1000});
  map.add({1001 * kSecond, 900, 300, 1000});
  EXPECT_EQ(map.offset_ns(2000 * kSecond), 900);
}

TEST(ClockMap, StatesADriftThatIsNotSteady) {
  ClockMap map;
  map.add({0, 0, 10, 100});
  map.add({10 * kSecond, 5000, 10, 100});
  map.add({20 * kSecond, 0, 10, 100});
  EXPECT_EQ(map.error_ns(), 10 + 5000 - 2 * 10);
}

TEST(ClockMap, FollowsTheClockItWasMeasuredAgainst) {
  ClockMap first, second;  // a to b, b to c
  second.add({100, 1000, 5, 50});
  second.add({300, 1200, 6, 40});
  first.add({10'200, 10'000, 7, 60});
  const ClockMap both = first.then(second);
  ASSERT_EQ(both.anchors().size(), 1U);
  EXPECT_EQ(both.anchors()[0].at_ns, 10'200);
  EXPECT_EQ(both.anchors()[0].offset_ns, 10'000 + 1100) << "b's offset when its clock showed 200";
  EXPECT_EQ(both.error_ns(), 7 + 6);
  EXPECT_EQ(both.worst_case_ns(), 60 + 50);
}

}  // namespace
}  // namespace tpbench
