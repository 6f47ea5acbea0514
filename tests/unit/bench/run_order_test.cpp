#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "bench/sweep_runner.hpp"

namespace tpbench {
namespace {

using Indexes = std::vector<std::size_t>;

Indexes counted_up(std::size_t cases) {
  Indexes indexes(cases);
  std::iota(indexes.begin(), indexes.end(), std::size_t{0});
  return indexes;
}

TEST(RunOrder, AsGiven) {
  EXPECT_EQ(run_order(5, Order::given, 1, 0), counted_up(5));
  EXPECT_EQ(run_order(5, Order::given, 1, 3), counted_up(5));
}

TEST(RunOrder, RandomOrdersHaveEachCaseOnce) {
  for (const std::size_t cases : {0U, 1U, 2U, 7U, 100U}) {
    Indexes order = run_order(cases, Order::random, 3, 1);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, counted_up(cases));
  }
}

// Every rank works it out for itself, on other machines too: the order is pinned.
TEST(RunOrder, IsThatOfSeedAndEpoch) {
  EXPECT_EQ(run_order(8, Order::random, 1, 0), run_order(8, Order::random, 1, 0));
  EXPECT_NE(run_order(8, Order::random, 1, 0), run_order(8, Order::random, 1, 1));
  EXPECT_NE(run_order(8, Order::random, 1, 0), run_order(8, Order::random, 2, 0));
  EXPECT_EQ(run_order(6, Order::random, 1, 0), (Indexes{4, 1, 5, 3, 0, 2}));
}

TEST(RunOrder, PutsEachCaseAnywhere) {
  std::vector<int> first(4);
  for (std::int64_t epoch = 0; epoch < 400; ++epoch) ++first[run_order(4, Order::random, 1, epoch)[0]];
  for (const int count : first) EXPECT_GT(count, 50);
}

}  // namespace
}  // namespace tpbench
