#include "bench/idle_ranks.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tpbench {
namespace {

Case make_case(std::int64_t degree, Groups groups = Groups::one) {
  Case point;
  point.workload = "row_linear";
  point.hidden_size = 48;
  point.layout.tp = degree;
  point.groups = groups;
  normalise_case(point);
  return point;
}

std::optional<std::string> idle(const std::vector<Case>& cases, std::size_t ranks) {
  return why_ranks_idle(cases, std::vector<int>(ranks), {});
}

TEST(WhyRanksIdle, CountsThoseThatNoCaseUses) {
  EXPECT_EQ(idle({make_case(1), make_case(8)}, 16),
            "8 of 16 ranks are idle in every case: the largest tp_degree that runs is 8; start fewer ranks, "
            "or use all "
            "with a larger --set tp_degree=... or --set groups=all");
  EXPECT_EQ(idle({make_case(2)}, 3).value().substr(0, 35), "1 of 3 ranks is idle in every case:");
  EXPECT_EQ(idle({make_case(3, Groups::all)}, 8).value().substr(0, 13), "2 of 8 ranks ");
  EXPECT_FALSE(idle({make_case(1), make_case(4)}, 4));
  EXPECT_FALSE(idle({make_case(1, Groups::all)}, 4));
}

TEST(WhyRanksIdle, LooksOnlyAtCasesThatRun) {
  // A degree that does not divide 48, and one beyond the launch, use nobody.
  EXPECT_TRUE(
      idle({make_case(2), make_case(5), make_case(16)}, 5).value().starts_with("3 of 5 ranks are idle "));
  EXPECT_FALSE(idle({make_case(16)}, 8)) << "the skipped cases say it";
}

}  // namespace
}  // namespace tpbench
