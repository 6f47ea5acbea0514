#include <gtest/gtest.h>

#include "helpers.hpp"

namespace tpbench {
namespace {

const std::vector<Case>& cases() {
  static const std::vector<Case> list =
      test::parse(R"({"hidden_size": [64, 128], "workload": ["mlp", "gemm"], "tp_degree": [1, 2, 4]})").cases;
  return list;
}

std::size_t kept(const std::vector<std::string>& filters) { return filter_cases(cases(), filters).size(); }

std::string message(const std::vector<std::string>& filters) {
  try {
    filter_cases(cases(), filters);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Filter, KeepsWhatMatchesEveryFilter) {
  EXPECT_EQ(kept({}), 12U);
  EXPECT_EQ(kept({"tp_degree=2,4"}), 8U);
  EXPECT_EQ(kept({"tp_degree=2,4", "workload=mlp"}), 4U);
  EXPECT_EQ(kept({"workload=\"mlp\""}), 6U);
  EXPECT_EQ(kept({"activation=null"}), 6U);
  EXPECT_EQ(kept({"ffn_hidden_size=256", "tp_degree=1"}), 1U);
  EXPECT_EQ(kept({"sequence_parallel=false"}), 12U);
}

TEST(Filter, KeepsTheOrder) {
  const std::vector<Case> left = filter_cases(cases(), std::vector<std::string>{"tp_degree=4,1"});
  EXPECT_EQ(left.front().layout.tp, 1);
  EXPECT_EQ(left[1].layout.tp, 4);
}

TEST(Filter, SaysWhatIsWrong) {
  EXPECT_EQ(message({"tp_degree"}), "--filter tp_degree: must have the form key=value[,value...]");
  EXPECT_EQ(message({"=4"}), "--filter =4: must have the form key=value[,value...]");
  EXPECT_EQ(message({"tp_degree=1,"}), "--filter tp_degree=1,: has an empty value");
  EXPECT_EQ(message({"tp_degree=1,3"}), "--filter tp_degree=1,3: no case has tp_degree 3; there are 1, 2, 4");
  EXPECT_EQ(message({"workload=mpl"}),
            "--filter workload=mpl: no case has workload mpl; there are \"mlp\", \"gemm\"");
  EXPECT_NE(message({"tp=1"}).find("\"tp\" is not a field of a case; there are workload, pass"),
            std::string::npos);
  EXPECT_NE(message({"tp_degre=1"}).find("(did you mean \"tp_degree\"?)"), std::string::npos);
  EXPECT_EQ(message({"ffn_hidden_size=256", "hidden_size=128"}),
            "--filter ffn_hidden_size=256 --filter hidden_size=128: no case is left");
  EXPECT_EQ(message({"tp_degree=2", "workload=mlp", "tp_degree=1"}),
            "--filter tp_degree=2 --filter workload=mlp --filter tp_degree=1: no case is left");
}

}  // namespace
}  // namespace tpbench
