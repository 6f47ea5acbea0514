#include "result/running.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/json.hpp"
#include "result/folder.hpp"
#include "sample_record.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

class RunningTest : public testing::Test {
 protected:
  RunningTest() {
    std::string name = (fs::temp_directory_path() / "tpbench-running-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    ResultFolder::create(root_).write_sweep(sweep_);
    left_ = ok_;
    left_.status = Status::failed;
    left_.reason_code = ReasonCode::lost;
    left_.reason = "left no word";
    left_.time = {};
    left_.epochs_done = 0;
  }
  ~RunningTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  [[nodiscard]] Record on_disk() const { return read_record(root_ / "records" / (ok_.id + ".json")); }

  fs::path root_;
  const Json sweep_ = Json::parse(R"({"name": "a", "tp_degree": [1, 2]})");
  const Record ok_ = sample::make_ok(sample::make_case("mlp", 2), {.compute = 0.3, .communication = 0.1});
  Record left_;
};

TEST_F(RunningTest, ResumeMakesTheRecordOfWhatRan) {
  mark_running(root_, left_);
  ResultFolder::resume(root_, sweep_);
  EXPECT_EQ(on_disk().reason_code, ReasonCode::lost);
  EXPECT_EQ(on_disk().reason, "left no word");
  EXPECT_FALSE(fs::exists(root_ / kRunningFile));
}

TEST_F(RunningTest, WhoeverLivesKnowsBetter) {
  mark_running(root_, left_);
  ResultFolder::settle(root_, "rank 0 has died", [](const std::vector<Record>& records) {
    return std::to_string(records.size());
  });
  EXPECT_EQ(on_disk().reason, "rank 0 has died");
  EXPECT_TRUE(fs::exists(root_ / "summary.csv"));
  EXPECT_FALSE(fs::exists(root_ / kRunningFile));
}

TEST_F(RunningTest, NobodyWritesWhereARunHasTheFolder) {
  const ResultFolder folder = ResultFolder::resume(root_, sweep_);
  mark_running(root_, left_);
  ResultFolder::settle(root_, "rank 0 has died", [](const std::vector<Record>&) { return std::string(); });
  EXPECT_TRUE(fs::exists(root_ / kRunningFile));
  EXPECT_TRUE(record_files(root_).empty());
}

TEST_F(RunningTest, EpochsThatWereFinishedStay) {
  {
    ResultFolder folder = ResultFolder::resume(root_, sweep_);
    folder.write_record(ok_);
  }
  mark_running(root_, left_);
  ResultFolder::resume(root_, sweep_);
  EXPECT_EQ(on_disk().status, Status::ok);
  EXPECT_FALSE(fs::exists(root_ / kRunningFile));
}

TEST_F(RunningTest, AFileThatIsCutOffIsNoRecord) {
  std::ofstream(root_ / kRunningFile) << "{\"schema\": \"tpb";
  EXPECT_NO_THROW(ResultFolder::resume(root_, sweep_));
  EXPECT_TRUE(record_files(root_).empty());
  EXPECT_FALSE(fs::exists(root_ / kRunningFile));
}

TEST_F(RunningTest, WhatIsOverLeavesNothing) {
  mark_running(root_, left_);
  clear_running(root_);
  EXPECT_FALSE(settle_running(root_));
}

}  // namespace
}  // namespace tpbench
