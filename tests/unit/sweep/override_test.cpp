#include <gtest/gtest.h>

#include "helpers.hpp"

namespace tpbench {
namespace {

using test::message_of;
using test::parse;

constexpr std::string_view kSweep = "{\n\"hidden_size\": 64,\n\"workload\": [\"mlp\", \"gemm\"]\n}";

std::vector<std::int64_t> degrees_of(const Sweep& sweep) {
  std::vector<std::int64_t> degrees;
  for (const Case& point : sweep.cases) degrees.push_back(point.layout.tp);
  return degrees;
}

TEST(Override, TakesJsonListsAndWords) {
  EXPECT_EQ(degrees_of(parse(kSweep, {"workload=mlp", "tp_degree=1,2"})), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(degrees_of(parse(kSweep, {"workload=mlp", "tp_degree=[1, 2]"})),
            (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(degrees_of(parse(kSweep, {"workload=mlp", "tp_degree = 4 "})), (std::vector<std::int64_t>{4}));
  EXPECT_EQ(parse(kSweep, {"workload=row_linear, mlp"}).resolved["workload"],
            Json::parse(R"(["row_linear", "mlp"])"));
  EXPECT_EQ(parse(kSweep, {"workload=\"row_linear\""}).resolved["workload"],
            Json::parse(R"(["row_linear"])"));
  EXPECT_EQ(parse(kSweep, {"ffn_hidden_size=null,32"}).resolved["ffn_hidden_size"],
            Json::parse("[null, 32]"));
  EXPECT_EQ(parse(kSweep, {"cases=[{\"tp_degree\": 2}]"}).cases.size(), 4U);
}

TEST(Override, ReachesIntoMeasure) {
  EXPECT_EQ(parse(kSweep, {"measure.max_seconds=1.5"}).measure.max_seconds, 1.5);
  const Sweep sweep =
      parse(R"({"hidden_size": 8, "measure": {"epochs": 2, "order": "given"}})", {"measure.epochs=3"});
  EXPECT_EQ(sweep.measure.epochs, 3);
  EXPECT_EQ(sweep.measure.order, Order::given);
  EXPECT_EQ(parse(kSweep, {"measure={\"epochs\": 4}"}).measure.epochs, 4);
}

TEST(Override, TheLastOneWins) {
  EXPECT_EQ(parse(kSweep, {"seed=2", "seed=3"}).seed, 3U);
  EXPECT_EQ(parse(kSweep, {"measure.epochs=2", "measure={\"epochs\": 5}"}).measure.epochs, 5);
  EXPECT_EQ(message_of(kSweep, {"measure.epochs=0", "measure={\"epochs\": -1}"}),
            "--set measure={\"epochs\": -1}: /measure/epochs: -1: must be a whole number from 1 to 1000");
}

TEST(Override, AKeyThatHoldsAStringTakesWhatWasTyped) {
  EXPECT_EQ(parse(kSweep, {"name=2024"}).name, "2024");
  EXPECT_EQ(parse(kSweep, {"name=\"run-2\""}).name, "run-2");
  EXPECT_NE(message_of(kSweep, {"name=a,b"}).find("--set name=a,b: /name: \"a,b\": must be 1 to 100"),
            std::string::npos);
}

TEST(Override, ReplacesAFaultyValueOfTheFile) {
  EXPECT_EQ(parse("{\"hidden_size\": -3}", {"hidden_size=64"}).cases.size(), 1U);
  EXPECT_EQ(parse("{}", {"hidden_size=64"}).cases.size(), 1U);
  EXPECT_EQ(parse("{\"hidden_size\": 64, \"tp_degree\": 1, \"tp_degree\": 2}", {"tp_degree=4"}).cases.size(),
            1U);
}

TEST(Override, FaultsNameTheOverride) {
  EXPECT_EQ(
      message_of(kSweep, {"tp_degree=x"}),
      "--set tp_degree=x: /tp_degree: \"x\": must be a whole number from 1 to 65536, or a list of such");
  EXPECT_EQ(message_of(kSweep, {"tp_degree=1,0"}),
            "--set tp_degree=1,0: /tp_degree/1: 0: must be a whole number from 1 to 65536");
  EXPECT_EQ(message_of(kSweep, {"tp_degre=1"}),
            "--set tp_degre=1: /tp_degre: 1: is not a key of a sweep (did you mean \"tp_degree\"?)");
  EXPECT_EQ(message_of(kSweep, {"measure.epoch=1"}),
            "--set measure.epoch=1: /measure/epoch: 1: is not a key of `measure` (did you mean \"epochs\"?)");
  EXPECT_EQ(message_of(kSweep, {"tp_degree"}), "--set tp_degree: must have the form key=value");
  EXPECT_EQ(message_of(kSweep, {"=4"}), "--set =4: names no key before the =");
  EXPECT_EQ(message_of(kSweep, {"tp_degree="}), "--set tp_degree=: gives no value after the =");
  EXPECT_EQ(message_of(kSweep, {"measure={\"epochs\": 1, \"epochs\": 2}"}),
            "--set measure={\"epochs\": 1, \"epochs\": 2}: gives a key twice");
  EXPECT_EQ(message_of(kSweep, {"backend=cuda"}),
            "--set backend=cuda: /backend: \"cuda\": is not available in this build; available: cpu");
  EXPECT_NE(message_of(kSweep, {"cases=" + std::string(100, '[')}).find("nests deeper than 64"),
            std::string::npos);
  EXPECT_NE(message_of(kSweep, {"name=\xff"}).find("not valid UTF-8"), std::string::npos);
  EXPECT_NE(message_of(kSweep, {"name=" + std::string(5000, 'a')}).find("longer than 1000 bytes"),
            std::string::npos);
}

TEST(Override, AllFaultsAreReportedFileFirst) {
  EXPECT_EQ(message_of("{\n\"hidden_size\": 0}", {"tp_degree", "seed=-1"}),
            "sweep.json:2: /hidden_size: 0: must be a whole number from 1 to 262144, or a list of such\n"
            "--set seed=-1: /seed: -1: must be a whole number from 0 to 9007199254740991\n"
            "--set tp_degree: must have the form key=value");
}

}  // namespace
}  // namespace tpbench
