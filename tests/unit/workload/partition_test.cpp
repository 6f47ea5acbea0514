#include "workload/partition.hpp"

#include <gtest/gtest.h>

#include <array>

#include "workload/workload.hpp"

namespace tpbench {
namespace {

TEST(Shards, CoverTheWholeInOrder) {
  for (const std::int64_t parts : {1, 2, 3, 4, 6, 12}) {
    std::int64_t next = 0;
    for (std::int64_t rank = 0; rank < parts; ++rank) {
      const Range shard = shard_of(12, parts, rank);
      EXPECT_EQ(shard.begin, next);
      EXPECT_EQ(shard.size(), 12 / parts);
      next = shard.end;
    }
    EXPECT_EQ(next, 12);
  }
}

TEST(Divisibility, IsNoProblemWhereItDivides) {
  for (const std::int64_t degree : {1, 2, 4, 5, 10, 20, 25, 50, 100}) {
    EXPECT_EQ(why_not_divisible(std::array{SplitDimension{"hidden_size", 100}}, degree), std::nullopt)
        << degree;
  }
}

TEST(Divisibility, NamesTheNearestDegreesThatDo) {
  EXPECT_EQ(why_not_divisible(std::array{SplitDimension{"hidden_size", 100}}, 3),
            "hidden_size 100 is not divisible by tp_degree 3; 2 and 4 would be");
  EXPECT_EQ(why_not_divisible(std::array{SplitDimension{"hidden_size", 100}}, 7),
            "hidden_size 100 is not divisible by tp_degree 7; 5 and 10 would be");
  EXPECT_EQ(why_not_divisible(std::array{SplitDimension{"hidden_size", 97}}, 2),
            "hidden_size 97 is not divisible by tp_degree 2; 1 and 97 would be");
}

TEST(Divisibility, NamesTheLargestWhenTheDegreeIsBeyondIt) {
  EXPECT_EQ(why_not_divisible(std::array{SplitDimension{"hidden_size", 100}}, 128),
            "hidden_size 100 is not divisible by tp_degree 128; 100 would be");
}

// What each workload splits: an all-reduce takes any length.
TEST(Divisibility, LooksAtTheDimensionThatIsSplit) {
  const Shape shape = {.tokens = 3, .hidden_size = 10, .ffn_hidden_size = 14};
  const auto divides = [&](const char* workload, std::int64_t degree) {
    return !why_not_divisible(find_workload(workload)->split(shape), degree);
  };
  for (const char* workload : {"gemm", "column_linear", "row_linear"}) {
    EXPECT_TRUE(divides(workload, 5)) << workload;
    EXPECT_FALSE(divides(workload, 7)) << workload;
  }
  EXPECT_TRUE(divides("mlp", 7));
  EXPECT_FALSE(divides("mlp", 5));
  for (const char* workload : {"all_gather", "reduce_scatter"}) {
    EXPECT_TRUE(divides(workload, 6)) << workload;
    EXPECT_FALSE(divides(workload, 7)) << workload;
  }
  for (std::int64_t degree = 1; degree < 20; ++degree) EXPECT_TRUE(divides("all_reduce", degree));
}

}  // namespace
}  // namespace tpbench
