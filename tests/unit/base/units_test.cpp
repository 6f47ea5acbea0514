#include "base/units.hpp"

#include <gtest/gtest.h>

#include <regex>

namespace tpbench {
namespace {

TEST(FormatBytes, HasThreeDigitsAndADecimalUnit) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.00 kB");
  EXPECT_EQ(format_bytes(12345), "12.3 kB");
  EXPECT_EQ(format_bytes(123456), "123 kB");
  EXPECT_EQ(format_bytes(1.34e9), "1.34 GB");
  EXPECT_EQ(format_bytes(2e15), "2.00 PB");
  EXPECT_EQ(format_bytes(5e18), "5.00 EB");
  EXPECT_EQ(format_bytes(2.5e21), "2.50 ZB");
  EXPECT_EQ(format_bytes(5e24), "5000 ZB");
  EXPECT_EQ(format_bytes(-1500), "-1.50 kB");
}

TEST(FormatBytes, RoundsIntoTheNextUnit) {
  EXPECT_EQ(format_bytes(999.6), "1.00 kB");
  EXPECT_EQ(format_bytes(9.996e6), "10.0 MB");
  EXPECT_EQ(format_bytes(99.96e6), "100 MB");
  EXPECT_EQ(format_bytes(999.6e6), "1.00 GB");
}

TEST(FormatSeconds, ChoosesTheUnit) {
  EXPECT_EQ(format_seconds(0), "0 ns");
  EXPECT_EQ(format_seconds(5e-9), "5 ns");
  EXPECT_EQ(format_seconds(12.3e-6), "12.3 us");
  EXPECT_EQ(format_seconds(4.56e-3), "4.56 ms");
  EXPECT_EQ(format_seconds(1.2), "1.20 s");
  EXPECT_EQ(format_seconds(1234), "1234 s");
  EXPECT_EQ(format_seconds(-4.56e-3), "-4.56 ms");
  EXPECT_EQ(format_seconds(999.6e-6), "1.00 ms");
  EXPECT_EQ(format_seconds(999.6e-3), "1.00 s");
}

TEST(FormatDuration, DoesNotPretendDigits) {
  EXPECT_EQ(format_duration(0.4), "0 s");
  EXPECT_EQ(format_duration(43), "43 s");
  EXPECT_EQ(format_duration(59.6), "1 min 0 s");
  EXPECT_EQ(format_duration(125), "2 min 5 s");
  EXPECT_EQ(format_duration(3600), "1 h 0 min");
  EXPECT_EQ(format_duration(3 * 3600 + 5 * 60 + 59), "3 h 5 min");
  EXPECT_EQ(format_duration(-3), "0 s");
}

TEST(FormatPercent, IsNeverClamped) {
  EXPECT_EQ(format_percent(0.614), "61 %");
  EXPECT_EQ(format_percent(1.2), "120 %");
}

TEST(UtcTimestamp, IsIso8601) {
  EXPECT_TRUE(std::regex_match(utc_timestamp(), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")));
}

}  // namespace
}  // namespace tpbench
