#include "result/folder.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "base/error.hpp"
#include "base/json.hpp"
#include "result/atomic_file.hpp"
#include "sample_record.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

template <typename Error, typename Function>
std::string message_of(Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

class FolderTest : public testing::Test {
 protected:
  FolderTest() {
    std::string name = (fs::temp_directory_path() / "tpbench-folder-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~FolderTest() override {
    std::error_code ignored;
    fs::permissions(root_, fs::perms::owner_all, ignored);
    fs::remove_all(root_, ignored);
  }

  fs::path root_;
  const Json sweep_ = Json::parse(R"({"name": "a", "tp_degree": [1, 2], "measure": {"epochs": 1}})");
  const Record record_ = sample::make_ok(sample::make_case("mlp", 2), {.compute = 0.3, .communication = 0.1});
};

// A file size limit makes write() fail half-way, as a full disk does, and works for any user.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    previous_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit = {bytes, previous_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit previous_{};
  void (*previous_handler_)(int) = nullptr;
};

TEST_F(FolderTest, AtomicWriteReplacesTheFile) {
  write_file_atomically(root_ / "file", "old");
  write_file_atomically(root_ / "file", "new and longer");
  EXPECT_EQ(text_of(root_ / "file"), "new and longer");
  EXPECT_EQ(files_in(root_), 1U);
}

TEST_F(FolderTest, AtomicWriteThatFailsHalfWayLeavesTheOldFile) {
  write_file_atomically(root_ / "file", "old");
  {
    const FileSizeLimit limit(1000);
    const auto message =
        message_of<EnvironmentError>([&] { write_file_atomically(root_ / "file", std::string(5000, 'x')); });
    EXPECT_NE(message.find((root_ / "file").string()), std::string::npos) << message;
    EXPECT_NE(message.find("File too large"), std::string::npos) << message;
  }
  EXPECT_EQ(text_of(root_ / "file"), "old");
  EXPECT_EQ(files_in(root_), 1U) << "the temporary file is still there";
}

TEST_F(FolderTest, AtomicWriteRemovesTheTemporaryFileWhenRenameFails) {
  fs::create_directories(root_ / "target" / "not-empty");
  EXPECT_THROW(write_file_atomically(root_ / "target", "text"), EnvironmentError);
  EXPECT_EQ(files_in(root_), 1U);
}

TEST_F(FolderTest, AtomicWriteIntoAReadOnlyFolderIsRefused) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  write_file_atomically(root_ / "file", "old");
  fs::permissions(root_, fs::perms::owner_read | fs::perms::owner_exec);
  const auto message = message_of<EnvironmentError>([&] { write_file_atomically(root_ / "file", "new"); });
  EXPECT_NE(message.find("Permission denied"), std::string::npos) << message;
  EXPECT_EQ(text_of(root_ / "file"), "old");
}

TEST_F(FolderTest, CreatesParentsAndWritesWholeFiles) {
  ResultFolder folder = ResultFolder::create(root_ / "a" / "b");
  EXPECT_EQ(files_in(root_ / "a" / "b" / "records"), 0U) << "the probe is still there";
  folder.write_sweep(sweep_);
  folder.write_record(record_);
  folder.write_summary("id\n");
  EXPECT_EQ(Json::parse(text_of(root_ / "a/b/sweep.json")), sweep_);
  EXPECT_EQ(text_of(root_ / "a/b/summary.csv"), "id\n");
  const auto records = folder.read_records();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(record_to_json(records[0]), record_to_json(record_));
}

TEST_F(FolderTest, CreateRefusesAFolderWithResults) {
  { ResultFolder::create(root_).write_sweep(sweep_); }
  const auto message = message_of<UsageError>([&] { ResultFolder::create(root_); });
  EXPECT_NE(message.find("--resume " + root_.string()), std::string::npos) << message;

  fs::remove(root_ / "sweep.json");
  { ResultFolder::create(root_).write_record(record_); }
  EXPECT_THROW(ResultFolder::create(root_), UsageError);
}

TEST_F(FolderTest, CreateLeavesOtherPeoplesFoldersAlone) {
  std::ofstream(root_ / "thesis.tex") << "x";
  const auto message = message_of<UsageError>([&] { ResultFolder::create(root_); });
  EXPECT_NE(message.find("holds something else (thesis.tex)"), std::string::npos) << message;
  EXPECT_EQ(files_in(root_), 1U);
  fs::remove(root_ / "thesis.tex");
  // What a run that was killed at its start leaves there is no reason to refuse.
  { ResultFolder::create(root_).write_run("tpbench", {}); }
  std::ofstream(root_ / "sweep.json.tmp.123") << "{";
  EXPECT_NO_THROW(ResultFolder::create(root_));
}

// A record that says how many epochs it has in two ways says it twice the same.
TEST_F(FolderTest, EpochsAndTheirMediansBelongTogether) {
  ResultFolder folder = ResultFolder::create(root_);
  const Record good = sample::make_ok(sample::make_case("row_linear", 1), {1e-3, 0, 0, 1e-5});
  const fs::path file = root_ / "records" / (good.id + ".json");
  const auto refused = [&](const Record& record) {
    folder.write_record(record);
    return message_of<std::runtime_error>([&] { read_record(file); });
  };
  folder.write_record(good);
  EXPECT_NO_THROW(read_record(file));
  Record more = good;
  more.epochs_done = more.epochs_planned = 3;
  EXPECT_EQ(refused(more), "time_s.step.epoch_medians has 1 value and epochs.done is 3");
  Record none = good;
  none.epochs_done = 0;
  EXPECT_NE(refused(none), "");
  Record other = good;
  other.time->compute.epoch_medians_s = {2e-3};
  EXPECT_NE(refused(other).find("time_s.compute.epoch_medians[0] is 0.002 and its samples say"),
            std::string::npos);
}

// What file systems and desktops leave anywhere is neither a record nor somebody's work.
TEST_F(FolderTest, FilesThatFileSystemsLeaveAreNotSeen) {
  fs::create_directory(root_ / "lost+found");
  for (const char* name : {".DS_Store", "._sweep.json", ".nfs0001"}) std::ofstream(root_ / name) << "x";
  fs::create_directory(root_ / "records");
  std::ofstream(root_ / "records" / "._row_linear.json") << "\x01";
  EXPECT_NO_THROW(ResultFolder::create(root_));
  EXPECT_TRUE(record_files(root_).empty());
  std::ofstream(root_ / ".bashrc") << "x";
  EXPECT_THROW(ResultFolder::create(root_), UsageError) << "a home folder";
}

TEST_F(FolderTest, ANumberTellsFoldersOfOneNameApart) {
  const ResultFolder first = ResultFolder::create_numbered(root_ / "results" / "a");
  const ResultFolder second = ResultFolder::create_numbered(root_ / "results" / "a");
  EXPECT_EQ(first.path(), root_ / "results" / "a");
  EXPECT_EQ(second.path(), root_ / "results" / "a-2");
  std::ofstream(root_ / "file") << "x";
  EXPECT_THROW(ResultFolder::create_numbered(root_ / "file" / "a"), EnvironmentError);
}

TEST_F(FolderTest, FiltersOfTheLastRunAreRecorded) {
  EXPECT_TRUE(recorded_filters(root_).empty());
  ResultFolder folder = ResultFolder::create(root_);
  folder.write_run("tpbench --config a.json", {"tp_degree=1", "workload=mlp"});
  EXPECT_EQ(recorded_filters(root_), (std::vector<std::string>{"tp_degree=1", "workload=mlp"}));
  folder.write_run("tpbench --resume .", {});
  EXPECT_TRUE(recorded_filters(root_).empty());
  for (const char* text : {"{", "[]", R"({"schema": "tpbench.run/2", "filters": []})",
                           R"({"schema": "tpbench.run/1", "filters": [1]})"}) {
    write_file_atomically(root_ / "run.json", text);
    EXPECT_THROW(recorded_filters(root_), UsageError) << text;
  }
}

TEST_F(FolderTest, TheLabelIsKnownBeforeTheFirstRecord) {
  ResultFolder folder = ResultFolder::create(root_);
  EXPECT_EQ(recorded_label(root_), std::nullopt);
  folder.write_environment(Json{{"label", ""}});
  EXPECT_EQ(recorded_label(root_), std::nullopt) << "nothing has that name yet";
  fs::remove(root_ / "environment.json");
  folder.write_environment(Json{{"label", "eth-1g"}});
  EXPECT_EQ(recorded_label(root_), "eth-1g");
  fs::remove(root_ / "environment.json");
  folder.write_record(record_);
  EXPECT_EQ(recorded_label(root_), record_.label);
}

TEST_F(FolderTest, CreateSaysWhyAFolderCannotBe) {
  std::ofstream(root_ / "file") << "x";
  const auto message = message_of<EnvironmentError>([&] { ResultFolder::create(root_ / "file" / "below"); });
  EXPECT_NE(message.find((root_ / "file" / "below").string()), std::string::npos) << message;
  EXPECT_NE(message.find("Not a directory"), std::string::npos) << message;
}

TEST_F(FolderTest, CreateProbesByWriting) {
  const FileSizeLimit limit(0);
  EXPECT_THROW(ResultFolder::create(root_ / "new"), EnvironmentError);
}

TEST_F(FolderTest, OneRunAtATime) {
  ResultFolder first = ResultFolder::create(root_);
  first.write_sweep(sweep_);
  for (const auto& second :
       {+[](const fs::path&path, const Json&) { ResultFolder::create(path); },
        +[](const fs::path&path, const Json&sweep) { ResultFolder::resume(path, sweep); }}) {
    const auto message = message_of<UsageError>([&] { second(root_, sweep_); });
    EXPECT_NE(message.find(root_.string() + ": another run is writing"), std::string::npos) << message;
  }
  // The lock moves with the object and goes with it.
  {
    const ResultFolder moved = std::move(first);
    EXPECT_THROW(ResultFolder::resume(root_, sweep_), UsageError);
  }
  EXPECT_NO_THROW(ResultFolder::resume(root_, sweep_));
}

TEST_F(FolderTest, ResumeWantsTheSameSweep) {
  const auto nothing = message_of<UsageError>([&] { ResultFolder::resume(root_, sweep_); });
  EXPECT_NE(nothing.find("no sweep.json"), std::string::npos) << nothing;

  { ResultFolder::create(root_).write_sweep(sweep_); }
  const Json same = Json::parse(R"({"tp_degree": [1, 2], "measure": {"epochs": 1}, "name": "a"})");
  EXPECT_NO_THROW(ResultFolder::resume(root_, same)) << "the order of keys does not count";

  const Json other =
      Json::parse(R"({"name": "a", "tp_degree": [1, 4], "measure": {"epochs": 0}, "seed": 2})");
  const auto message = message_of<UsageError>([&] { ResultFolder::resume(root_, other); });
  for (const char* part : {"/tp_degree: [1,2] in the folder, [1,4] now",
                           "/measure/epochs: 1 in the folder, 0 now", "/seed: 1 in the folder, 2 now"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << "\n" << message;
  }
  EXPECT_EQ(message.find("/name"), std::string::npos) << message;

  // More epochs measure the same cases once more.
  const Json more = Json::parse(R"({"name": "a", "tp_degree": [1, 2], "measure": {"epochs": 3}})");
  EXPECT_NO_THROW(ResultFolder::resume(root_, more));
  EXPECT_NO_THROW(ResultFolder::resume(root_, more)) << "which the folder holds from now on";
  EXPECT_THROW(ResultFolder::resume(root_, same), UsageError);

  write_file_atomically(root_ / "sweep.json", "{");
  EXPECT_THROW(ResultFolder::resume(root_, sweep_), UsageError);
}

TEST_F(FolderTest, ResumeRemovesWhatAnInterruptedWriteLeft) {
  {
    ResultFolder folder = ResultFolder::create(root_);
    folder.write_sweep(sweep_);
    folder.write_record(record_);
  }
  std::ofstream(root_ / "records" / "x.json.tmp.123") << "{";
  std::ofstream(root_ / "summary.csv.tmp.123") << "id";
  const ResultFolder folder = ResultFolder::resume(root_, sweep_);
  EXPECT_FALSE(fs::exists(root_ / "records" / "x.json.tmp.123"));
  EXPECT_FALSE(fs::exists(root_ / "summary.csv.tmp.123"));
  EXPECT_EQ(folder.read_records().size(), 1U);
}

TEST_F(FolderTest, FilesThatAreNoRecordsAreNamedAndLeftOut) {
  ResultFolder folder = ResultFolder::create(root_);
  folder.write_record(record_);
  std::ofstream(root_ / "records" / "half.json") << R"({"schema": "tpbench.record/1", )";
  std::ofstream(root_ / "records" / "empty.json");
  std::ofstream(root_ / "records" / "other-id.json") << record_to_json(record_).dump();
  fs::create_directory(root_ / "records" / "folder.json");
  testing::internal::CaptureStderr();
  const auto records = folder.read_records();
  const std::string said = testing::internal::GetCapturedStderr();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].id, record_.id);
  for (const char* name : {"half.json", "empty.json", "other-id.json", "folder.json"}) {
    EXPECT_NE(said.find(name), std::string::npos) << name << "\n" << said;
  }
  EXPECT_THROW(read_records(root_ / "nowhere"), EnvironmentError);
}

TEST_F(FolderTest, RecordsThatContradictThemselvesAreLeftOut) {
  ResultFolder folder = ResultFolder::create(root_);
  const auto write = [&](const Record& record) {
    std::ofstream(root_ / "records" / (record.id + ".json")) << record_to_json(record).dump();
    return folder.read_records().size();
  };
  ASSERT_EQ(write(record_), 1U);
  Record other_case = record_;
  other_case.point.hidden_size *= 2;
  EXPECT_EQ(write(other_case), 0U) << "its id is that of another case";
  Record no_samples = record_;
  no_samples.time->step.samples_s.clear();
  EXPECT_EQ(write(no_samples), 0U);
  Record other_samples = record_;
  other_samples.time->step.samples_s[0] = -1;
  EXPECT_EQ(write(other_samples), 0U);
}

// Samples of a machine that is slow for a while and fast for a while.
TEST_F(FolderTest, IntervalsAreCheckedByTheRuleThatMadeThem) {
  Record record = record_;
  std::vector<double>& samples = record.time->step.samples_s;
  samples.resize(60);
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples[i] = (i / 10 % 2 == 0 ? 1.0 : 1.2) + 1e-4 * static_cast<double>(i);
  record.time->step.epoch_medians_s = {summarise(samples).median};
  for (auto part :
       {&TimeResult::compute, &TimeResult::communication, &TimeResult::wait, &TimeResult::other}) {
    Quantity& quantity = (*record.time).*part;
    quantity.samples_s.resize(60, quantity.samples_s[0]);
    quantity.epoch_medians_s = {summarise(quantity.samples_s).median};
    quantity.summary = summarise(quantity.samples_s);
  }
  const fs::path file = root_ / (record_.id + ".json");
  const auto complaint = [&](const Summary& summary, bool with_key) {
    record.time->step.summary = summary;
    Json document = record_to_json(record);
    if (!with_key) document["time_s"]["step"].erase("effective_samples");
    std::ofstream(file) << document.dump();
    try {
      read_record(file);
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const Summary now = summarise(samples), before = summarise(samples, samples.size());
  ASSERT_LT(*now.effective_samples, 20U);
  ASSERT_NE(now.ci95, before.ci95);
  EXPECT_EQ(complaint(now, true), "");
  EXPECT_EQ(complaint(before, false), "") << "older records counted every sample as one";
  EXPECT_NE(complaint(now, false).find("time_s.step.ci95"), std::string::npos);
  EXPECT_NE(complaint(before, true).find("time_s.step.effective_samples is 60 and its samples say"),
            std::string::npos);
  Summary mixed = before;
  mixed.effective_samples = now.effective_samples;
  EXPECT_NE(complaint(mixed, true).find("time_s.step.ci95"), std::string::npos);
}

TEST_F(FolderTest, WhatWasChangedByHandIsNamed) {
  const fs::path file = root_ / (record_.id + ".json");
  const auto complaint = [&](const char* pointer, const Json& value) {
    Json document = record_to_json(record_);
    document[Json::json_pointer(pointer)] = value;
    std::ofstream(file) << document.dump();
    return message_of<std::runtime_error>([&] { read_record(file); });
  };
  std::ofstream(file) << record_to_json(record_).dump();
  EXPECT_NO_THROW(read_record(file));
  for (const char* quantity : {"step", "compute", "communication", "wait", "other"}) {
    for (const char* key : {"median", "mean", "min", "max", "p95", "p99", "samples", "outliers", "ci95/1",
                            "effective_samples"}) {
      const std::string pointer = std::string("/time_s/") + quantity + '/' + key;
      const std::string said = complaint(pointer.c_str(), 7);
      EXPECT_EQ(said.find(std::string("time_s.") + quantity + '.' + std::string(key).substr(0, 4)), 0U)
          << pointer << ": " << said;
    }
    const std::string list = std::string("/samples_s/") + quantity;
    EXPECT_NE(complaint((list + "/3").c_str(), 7).find(std::string("time_s.") + quantity), std::string::npos);
  }
  EXPECT_EQ(complaint("/samples_s/wait", Json{0.1, 0.1}),
            "samples_s.wait has 2 samples and samples_s.step has 10");
  EXPECT_EQ(complaint("/time_s/step/ci95", nullptr),
            "time_s.step.ci95 is null and its samples say otherwise");
  EXPECT_EQ(complaint("/verification/passed", false), "status is \"ok\" and verification.passed is false");
  std::ofstream(file) << R"({"schema": "tpbench.rec)";
  EXPECT_EQ(message_of<std::runtime_error>([&] { read_record(file); }), "not valid JSON, or cut off");
}

TEST_F(FolderTest, EnvironmentIsKeptOncePerMachine) {
  ResultFolder folder = ResultFolder::create(root_);
  const Json first = Json::parse(R"({"started_at": "1", "cpu": {"model": "a", "cores": 2}, "noise": 0.1,
                                      "hosts": [{"name": "n", "memory_available_bytes": 5}]})");
  const Json again = Json::parse(R"({"cpu": {"cores": 2, "model": "a"}, "noise": 0.5, "started_at": "2",
                                      "hosts": [{"name": "n", "memory_available_bytes": 6}]})");
  const Json other = Json::parse(R"({"cpu": {"cores": 4, "model": "a"}, "noise": 0.5, "started_at": "3"})");
  EXPECT_EQ(folder.write_environment(first), "environment.json");
  EXPECT_EQ(folder.write_environment(again), "environment.json");
  EXPECT_EQ(folder.write_environment(other), "environment-2.json");
  EXPECT_EQ(folder.write_environment(first), "environment.json");
  EXPECT_EQ(Json::parse(text_of(root_ / "environment.json")), first);
}

TEST_F(FolderTest, AFailedWriteKeepsTheEarlierRecord) {
  ResultFolder folder = ResultFolder::create(root_);
  folder.write_record(record_);
  Record later = record_;
  later.duration_s = 99;
  {
    const FileSizeLimit limit(512);
    EXPECT_THROW(folder.write_record(later), EnvironmentError);
  }
  EXPECT_EQ(files_in(root_ / "records"), 1U);
  EXPECT_EQ(folder.read_records().at(0).duration_s, record_.duration_s);
  later.id = "../outside";
  EXPECT_THROW(folder.write_record(later), std::invalid_argument);
}

TEST_F(FolderTest, ALabelThatIsNotUtf8LosesNoRecord) {
  ResultFolder folder = ResultFolder::create(root_);
  Record record = record_;
  record.label = "caf\xe9";
  folder.write_record(record);
  EXPECT_EQ(folder.read_records().at(0).label.substr(0, 3), "caf");
}

}  // namespace
}  // namespace tpbench
