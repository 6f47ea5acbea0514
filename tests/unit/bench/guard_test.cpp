#include "bench/guard.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tpbench {
namespace {

RankSign sign(std::int64_t rank, char state, Activity activity, std::uint64_t step = 0) {
  return {.world_rank = rank, .process_id = 100 + rank, .state = state, .phase = Phase::sampling,
          .activity = activity, .step = step};
}

TEST(DescribeStall, BlamesTheRankThatIsDeadOrStopped) {
  std::vector<RankSign> signs = {sign(0, 'R', Activity::all_reduce, 7), sign(1, 'X', Activity::compute, 7)};
  EXPECT_EQ(describe_stall(signs, "node"),
            "rank 1 (process 101 on node) has died in compute of sampling step 7; waiting: rank 0 in all_reduce of "
            "sampling step 7");
  signs[1].state = 'T';
  EXPECT_TRUE(describe_stall(signs, "node").starts_with("rank 1 (process 101 on node) is stopped in compute"));
  signs[1].state = 'Z';
  signs[1].leaving = true;
  EXPECT_EQ(describe_stall(signs, "node").find("has died"), std::string::npos) << "it said that it would go";
}

TEST(DescribeStall, BlamesWhoStillComputesOnlyWhereNobodyIsGone) {
  std::vector<RankSign> signs = {sign(0, 'S', Activity::synchronise), sign(1, 'R', Activity::compute, 3)};
  EXPECT_EQ(describe_stall(signs, "node").substr(0, 43), "rank 1 (process 101 on node) does not leave");
  signs.push_back(sign(2, 'X', Activity::all_gather));
  EXPECT_TRUE(describe_stall(signs, "node").starts_with("rank 2 "));
  EXPECT_EQ(describe_stall(signs, "node").find("does not leave"), std::string::npos);
}

TEST(DescribeStall, WhereAllWaitTheCauseIsElsewhere) {
  std::vector<RankSign> signs;
  for (std::int64_t rank = 0; rank < 6; ++rank) signs.push_back(sign(rank, 'R', Activity::all_reduce));
  const std::string text = describe_stall(signs, "node");
  EXPECT_TRUE(text.starts_with("all ranks of node wait, so that the cause is on another host; waiting: rank 0 in"));
  EXPECT_TRUE(text.ends_with("and 2 more")) << text;
}

}  // namespace
}  // namespace tpbench
