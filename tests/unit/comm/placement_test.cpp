#include "comm/placement.hpp"

#include <gtest/gtest.h>

namespace tpbench {
namespace {

using Ranks = std::vector<int>;
using RankGroups = std::vector<Ranks>;

TEST(RankOrder, IsThatOfTheWorldOnOneHost) {
  for (const bool spread : {false, true})
    EXPECT_EQ(rank_order(Ranks{0, 0, 0, 0}, spread), (Ranks{0, 1, 2, 3}));
}

TEST(RankOrder, PacksHostByHost) {
  EXPECT_EQ(rank_order(Ranks{0, 0, 1, 1}, false), (Ranks{0, 1, 2, 3}));
  EXPECT_EQ(rank_order(Ranks{0, 1, 0, 1}, false), (Ranks{0, 2, 1, 3})) << "whatever the launcher's order";
  EXPECT_EQ(rank_order(Ranks{0, 1, 2, 1, 0}, false), (Ranks{0, 4, 1, 3, 2}));
}

TEST(RankOrder, SpreadsOneOfEachHostInTurn) {
  EXPECT_EQ(rank_order(Ranks{0, 0, 1, 1}, true), (Ranks{0, 2, 1, 3}));
  EXPECT_EQ(rank_order(Ranks{0, 1, 0, 1}, true), (Ranks{0, 1, 2, 3}));
  EXPECT_EQ(rank_order(Ranks{0, 0, 0, 1}, true), (Ranks{0, 3, 1, 2})) << "hosts of unequal size";
  EXPECT_EQ(rank_order(Ranks{0, 0, 1, 1, 2, 2}, true), (Ranks{0, 2, 4, 1, 3, 5}));
}

TEST(CutGroups, TakesTheFirstOne) {
  EXPECT_EQ(cut_groups(Ranks{0, 2, 1, 3}, 2, false), (RankGroups{{0, 2}}));
  EXPECT_EQ(cut_groups(Ranks{0, 1, 2}, 1, false), (RankGroups{{0}}));
}

TEST(CutGroups, TakesAsManyAsThereAreRanksFor) {
  EXPECT_EQ(cut_groups(Ranks{0, 2, 1, 3}, 2, true), (RankGroups{{0, 2}, {1, 3}}));
  EXPECT_EQ(cut_groups(Ranks{0, 1, 2, 3, 4}, 2, true), (RankGroups{{0, 1}, {2, 3}})) << "one is left over";
  EXPECT_EQ(cut_groups(Ranks{0, 1, 2}, 3, true), (RankGroups{{0, 1, 2}}));
}

TEST(CutGroups, HasNoneThatIsTooLarge) { EXPECT_TRUE(cut_groups(Ranks{0, 1}, 3, true).empty()); }

// Four ranks on each of two hosts, groups of four: packed stays on a host, spread has two of each.
TEST(Placement, DecidesHowManyHostsAGroupTouches) {
  const Ranks hosts = {0, 0, 0, 0, 1, 1, 1, 1};
  EXPECT_EQ(cut_groups(rank_order(hosts, false), 4, true), (RankGroups{{0, 1, 2, 3}, {4, 5, 6, 7}}));
  EXPECT_EQ(cut_groups(rank_order(hosts, true), 4, true), (RankGroups{{0, 4, 1, 5}, {2, 6, 3, 7}}));
}

}  // namespace
}  // namespace tpbench
