// The axis of the worked example in docs/architecture.md, in a sweep room that has it: everything that
// follows from its row.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "helpers.hpp"

namespace tpbench {
namespace {

std::vector<Case> cases_of(const std::string& keys, const std::vector<std::string>& overrides = {}) {
  return test::parse("{\"hidden_size\": 64" + keys + "}", overrides).cases;
}

TEST(OwnAxis, ExpandsAndIsSetAndFiltered) {
  std::vector<Case> cases = cases_of(R"(, "alignment": [64, 4096], "tp_degree": [1, 2])");
  ASSERT_EQ(cases.size(), 4U);
  EXPECT_EQ(
      std::count_if(cases.begin(), cases.end(), [](const Case& point) { return point.alignment == 4096; }),
      2);
  EXPECT_EQ(cases_of("", {"alignment=128"}).front().alignment, 128);
  EXPECT_EQ(filter_cases(cases, std::vector<std::string>{"alignment=4096"}).size(), 2U);
}

TEST(OwnAxis, IsInTheRecordAndInTheIdWhereItIsNew) {
  const Case as_before = cases_of("").front();
  const Case other = cases_of(R"(, "alignment": 4096)").front();
  EXPECT_EQ(case_to_json(other).at("alignment"), 4096);
  EXPECT_EQ(case_from_json(case_to_json(other)).alignment, 4096);
  EXPECT_NE(case_id(other), case_id(as_before));

  // What was written before there was such an axis is the same case.
  Json older = case_to_json(as_before);
  older.erase("alignment");
  EXPECT_EQ(case_from_json(older).alignment, 64);
  EXPECT_EQ(case_id(as_before), "row_linear-h64-b1-s1-tp1-fa2e65d494d3");
}

TEST(OwnAxis, IsCheckedByTheSchema) {
  EXPECT_NE(test::message_of(R"({"hidden_size": 64, "alignment": 0})")
                .find("/alignment: 0: must be a whole number from 1 to 4096"),
            std::string::npos);
}

}  // namespace
}  // namespace tpbench
