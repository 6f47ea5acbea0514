// Rank 0's books of a sweep, without ranks: what stands in the result folder after each entry.
#include "bench/ledger.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/json.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

Case case_of(std::int64_t degree) {
  Case point;
  point.workload = "attention";
  point.pass = Pass::forward_backward;
  point.hidden_size = 512;
  point.num_heads = 8;
  point.num_kv_heads = 2;
  point.sequence_length = 16;
  point.layout.tp = degree;
  point.threads_per_rank = 1;
  normalise_case(point);
  return point;
}

LaunchFacts facts_of(std::int64_t ranks) {
  LaunchFacts facts;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    facts.ranks.push_back({.world_rank = rank, .host = "a", .pid = 1, .cpus = {rank}, .threads = 1});
    facts.machine_of.emplace_back("kernel");
    facts.cores_of.push_back(ranks);
    facts.bound_cores_of.push_back(1);
  }
  return facts;
}

Team team_of(std::int64_t ranks) {
  Team team;
  team.groups.emplace_back();
  for (int rank = 0; rank < ranks; ++rank) team.groups[0].push_back(rank);
  return team;
}

// An epoch in which every collective of the case took `seconds`.
CaseOutcome outcome_of(const Case& point, double seconds) {
  const std::vector<double> samples(10, seconds);
  CaseOutcome outcome;
  outcome.status = Status::ok;
  outcome.verification.passed = true;
  outcome.backend_threads = 1;
  Samples& s = outcome.samples;
  s.converged = true;
  s.step_s = std::vector<double>(10, 10 * seconds);
  s.compute_s = s.communication_s = s.wait_s = s.other_s = samples;
  for (auto* halves : {&s.compute_by_half_s, &s.communication_by_half_s})
    for (auto& half : *halves) half = samples;
  for (const CollectiveCost& cost : point.cost().collectives) {
    const auto activity = enum_from_name<Activity>(name_of(cost.op)).value();
    const std::int64_t part = cost.ranks == point.layout.tp ? 0 : cost.ranks;
    s.collectives.push_back({{activity, cost.direction, cost.bytes, part}, samples});
  }
  return outcome;
}

class LedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("tpbench-ledger-" + std::to_string(getpid()));
    sweep_.measure.epochs = 3;
    sweep_.cases = {case_of(1), case_of(4)};
  }
  void TearDown() override { fs::remove_all(root_); }

  /// Opens the books as a launch does, the folder being new, or left by an earlier one.
  void open(bool resume, const std::string& environment = "environment.json") {
    ledger_.reset();
    folder_.reset();
    folder_.emplace(resume ? ResultFolder::resume(root_, Json::object()) : ResultFolder::create(root_));
    if (!resume) folder_->write_sweep(Json::object());
    run_.emplace(sweep_, sweep_.cases);
    run_->folder = &*folder_;
    run_->environment_file = environment;
    run_->resume = resume;
    run_->summarise = [](const std::vector<Record>& records) {
      std::string text;
      for (const Record& record : records) text += fmt::format("{} {}\n", record.id, record.epochs_done);
      return text;
    };
    ledger_.emplace(*run_, facts_);
  }

  std::int64_t keep(std::int64_t degree) { return ledger_->keep(case_id(case_of(degree))); }
  void run(std::int64_t degree, double seconds) { run(degree, outcome_of(case_of(degree), seconds)); }
  void run(std::int64_t degree, const CaseOutcome& outcome) {
    const Case point = case_of(degree);
    ledger_->open(case_id(point), point);
    ledger_->start(case_id(point), team_of(degree));
    ledger_->finish(case_id(point), outcome, team_of(degree));
  }
  void skip(std::int64_t degree) {
    const Case point = case_of(degree);
    ledger_->open(case_id(point), point);
    ledger_->skip(case_id(point), {ReasonCode::ranks, "too few ranks"});
  }
  Record on_disk(std::int64_t degree) const {
    return read_record(root_ / "records" / (case_id(case_of(degree)) + ".json"));
  }
  [[nodiscard]] std::string summary() const {
    std::ifstream file(root_ / "summary.csv");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::vector<std::string> codes(const Record& record) {
    std::vector<std::string> codes;
    for (const Warning& warning : record.warnings) codes.push_back(warning.code);
    return codes;
  }
  static bool has(const std::vector<std::string>& codes, const std::string& code) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
  }

  fs::path root_;
  Sweep sweep_;
  LaunchFacts facts_ = facts_of(4);
  std::optional<ResultFolder> folder_;
  std::optional<SweepRun> run_;
  std::optional<Ledger> ledger_;
};

TEST_F(LedgerTest, WritesEachRecordAsSoonAsItsCaseEnds) {
  open(false);
  run(4, 1e-3);
  EXPECT_EQ(on_disk(4).epochs_done, 1);
  EXPECT_EQ(on_disk(4).epochs_planned, 3);
  EXPECT_FALSE(on_disk(4).scaling.speedup);
  run(1, 1e-3);
  EXPECT_TRUE(on_disk(4).scaling.speedup) << "written again when its baseline is there";
  run(4, 2e-3);
  EXPECT_EQ(on_disk(4).epochs_done, 2);
  EXPECT_EQ(on_disk(4).time->step.samples_s.size(), 20U);
}

// A signal comes while a case runs: the summary is that of the records that are there.
TEST_F(LedgerTest, TheSummaryOfAnInterruptedRunHasWhatTheFolderHas) {
  open(false);
  run(1, 1e-3);
  run(4, 1e-3);
  const auto start = [&] {
    const Case point = case_of(4);
    ledger_->open(case_id(point), point);
    ledger_->start(case_id(point), team_of(4));
    ledger_->hold_files();
    return summary();
  };
  const std::string one = case_id(case_of(1)), four = case_id(case_of(4));
  EXPECT_EQ(start(), one + " 1\n" + four + " 1\n") << "its first epoch stays";
  open(true);
  EXPECT_EQ(start(), one + " 1\n" + four + " 1\n") << "that of the earlier run stays";
}

TEST_F(LedgerTest, ASkippedCaseHasAReasonAndNoTimes) {
  open(false);
  skip(4);
  EXPECT_EQ(on_disk(4).status, Status::skipped);
  EXPECT_EQ(on_disk(4).reason, "too few ranks");
  open(true);
  EXPECT_EQ(keep(4), 0) << "looked at again";
  run(4, 1e-3);
  EXPECT_EQ(on_disk(4).status, Status::ok);
}

TEST_F(LedgerTest, AnEpochThatFailsMakesTheCaseAFailedOne) {
  open(false);
  run(4, 1e-3);
  CaseOutcome failed;
  failed.status = Status::failed;
  failed.reason_code = ReasonCode::error;
  failed.reason = "rank 1: out of memory";
  run(4, failed);
  EXPECT_EQ(on_disk(4).status, Status::failed);
  run(4, 1e-3);
  EXPECT_EQ(on_disk(4).status, Status::failed) << "whatever the next ones bring";
}

TEST_F(LedgerTest, WhatIsGivenUpIsAFailedRecord) {
  open(false);
  ledger_->give_up(ReasonCode::watchdog, "nothing runs");
  EXPECT_TRUE(record_files(root_).empty());
  const Case point = case_of(4);
  ledger_->open(case_id(point), point);
  ledger_->start(case_id(point), team_of(4));
  ledger_->give_up(ReasonCode::watchdog, "a rank has died");
  EXPECT_EQ(on_disk(4).reason_code, ReasonCode::watchdog);
}

// The launch that resumes has too few ranks, or too little memory: what was measured stays.
TEST_F(LedgerTest, WhatWasMeasuredStaysWhenTheRestCannotRun) {
  open(false);
  run(4, 1e-3);
  const Record measured = on_disk(4);
  open(true);
  EXPECT_EQ(keep(4), 1);
  skip(4);
  CaseOutcome short_of_memory;
  short_of_memory.status = Status::skipped;
  short_of_memory.reason_code = ReasonCode::memory;
  short_of_memory.reason = "4 ranks need 2 TB";
  for (const std::string reason : {"too few ranks", "4 ranks need 2 TB"}) {
    const Record left = on_disk(4);
    EXPECT_EQ(left.status, Status::ok);
    EXPECT_EQ(left.epochs_done, 1);
    ASSERT_TRUE(left.time);
    EXPECT_EQ(left.time->step.samples_s, measured.time->step.samples_s);
    EXPECT_EQ(left.gflops_per_rank, measured.gflops_per_rank);
    ASSERT_EQ(std::count_if(left.warnings.begin(), left.warnings.end(),
                            [](const Warning& warning) { return warning.code == "epochs_missing"; }),
              1);
    EXPECT_EQ(left.warnings.back().message,
              "1 of 3 epochs were measured, and the next could not run: " + reason);
    run(4, short_of_memory);
  }
  open(true);
  EXPECT_EQ(keep(4), 1) << "goes on where it was";
  run(4, 1e-3);
  EXPECT_FALSE(has(codes(on_disk(4)), "epochs_missing"));
}

// Of several kinds of collectives each has a bandwidth of its own, over all epochs, whoever measured them.
TEST_F(LedgerTest, BandwidthsCoverTheEpochsOfEarlierLaunches) {
  open(false);
  run(4, 1e-3);
  const Record first = on_disk(4);
  ASSERT_GT(first.collectives.size(), 1U);
  open(true);
  EXPECT_EQ(keep(4), 1);
  run(4, 3e-3);
  const Record both = on_disk(4);
  for (std::size_t i = 0; i < both.collectives.size(); ++i) {
    ASSERT_TRUE(both.collectives[i].busbw_gb_per_s);
    // The median of 1 and 3 ms.
    EXPECT_NEAR(*both.collectives[i].busbw_gb_per_s, *first.collectives[i].busbw_gb_per_s / 2,
                1e-9 * *first.collectives[i].busbw_gb_per_s);
    EXPECT_EQ(both.collectives[i].epoch_medians_s, (std::vector<double>{1e-3, 3e-3}));
  }
}

TEST_F(LedgerTest, SaysThatSeveralLaunchesMeasuredARecord) {
  open(false);
  run(4, 1e-3);
  open(true, "environment-2.json");
  EXPECT_EQ(keep(4), 1);
  run(4, 1e-3);
  EXPECT_EQ(on_disk(4).earlier_environments, std::vector<std::string>{"environment.json"});
  EXPECT_TRUE(has(codes(on_disk(4)), "mixed_launches"));
}

}  // namespace
}  // namespace tpbench
