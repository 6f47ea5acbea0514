#include "result/summary_text.hpp"

#include <gtest/gtest.h>

namespace tpbench {
namespace {

TEST(MedianText, HasAShareWhereItSaysSomething) {
  Summary summary;
  summary.median = 2e-3;
  EXPECT_EQ(median_text(summary), "2.00 ms");
  summary.ci95 = {{1.9e-3, 2.2e-3}};
  EXPECT_EQ(median_text(summary), "2.00 ms +-7.5%");
  summary.ci95 = {{0.5e-3, 40e-3}};
  EXPECT_EQ(median_text(summary), "2.00 ms (500 us..40.0 ms)");
}

}  // namespace
}  // namespace tpbench
