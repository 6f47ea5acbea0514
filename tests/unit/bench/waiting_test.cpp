#include "bench/waiting.hpp"

#include <gtest/gtest.h>

namespace tpbench {
namespace {

// It leaves the first collective 3 earlier than the last rank, and waits for it 5 at the second.
TEST(Waiting, AHeadStartIsTheNetworks) {
  Waiting waiting;
  waiting.add(0, 0, 7, 10);
  waiting.add(12, 17, 20, 20);
  EXPECT_EQ(waiting.all_s(), 5);
  EXPECT_EQ(waiting.imbalance_s(), 2);
  waiting.add(21, 22, 25, 25);
  EXPECT_EQ(waiting.all_s(), 6);
  EXPECT_EQ(waiting.imbalance_s(), 3) << "all left the second at one moment";
}

TEST(Waiting, NoMoreThanItWaitsIsExplained) {
  Waiting waiting;
  waiting.add(0, 0, 1, 100);
  waiting.add(2, 4, 5, 5);
  EXPECT_EQ(waiting.imbalance_s(), 0);
}

TEST(Waiting, WhatCountsSeveralTimesIsWaitedForSeveralTimes) {
  Waiting waiting;
  waiting.add(0, 2, 3, 3, 4);
  EXPECT_EQ(waiting.all_s(), 8);
  EXPECT_EQ(waiting.imbalance_s(), 8);
}

}  // namespace
}  // namespace tpbench
