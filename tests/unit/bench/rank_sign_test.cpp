#include "bench/rank_sign.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tpbench {
namespace {

RankSign sign(std::int64_t rank, char state, Activity activity) {
  return {.world_rank = rank,
          .process_id = 100 + rank,
          .state = state,
          .phase = Phase::sampling,
          .activity = activity,
          .step = 7};
}

TEST(DescribeStall, NamesWhoDiedAndWhoWaits) {
  const std::vector<RankSign> signs = {sign(0, 'R', Activity::all_reduce), sign(1, 'X', Activity::compute)};
  EXPECT_EQ(describe_stall(signs, "n1"),
            "rank 1 (process 101 on n1) has died in compute of sampling step 7; waiting: rank 0 in "
            "all_reduce of sampling "
            "step 7");
}

TEST(DescribeStall, WhoeverLeftByItsOwnWillIsNotBlamed) {
  std::vector<RankSign> signs = {sign(0, 'R', Activity::compute), sign(1, 'X', Activity::compute)};
  signs[1].leaving = 1;
  EXPECT_FALSE(has_died(signs[1]));
  EXPECT_EQ(describe_stall(signs, "n1"),
            "rank 0 (process 100 on n1) does not leave compute of sampling step 7");
}

TEST(DescribeStall, WhereAllWaitTheCauseIsElsewhere) {
  const std::vector<RankSign> signs = {sign(2, 'S', Activity::all_gather)};
  EXPECT_EQ(
      describe_stall(signs, "n1"),
      "all ranks of n1 wait: the cause is on another host; waiting: rank 2 in all_gather of sampling step 7");
}

TEST(DescribeStall, WhereAMessageIsWaitedForItNamesTheStage) {
  std::vector<RankSign> signs = {sign(0, 'S', Activity::synchronise), sign(1, 'S', Activity::receive)};
  signs[1].stage = 3;
  EXPECT_EQ(
      describe_stall(signs, "n1"),
      "all ranks of n1 wait: a message between stages has not come, or the cause is on another host; "
      "waiting: rank 0 in synchronise of sampling step 7, rank 1 in receive of sampling step 7 on stage 3");
}

TEST(DescribeWaiting, NamesTheFirstFour) {
  std::vector<RankSign> signs;
  for (int rank = 0; rank < 7; ++rank) signs.push_back(sign(rank, 'S', Activity::all_reduce));
  const std::string text = describe_waiting(signs);
  EXPECT_NE(text.find("rank 3 in all_reduce"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with(" and 3 more")) << text;
}

}  // namespace
}  // namespace tpbench
