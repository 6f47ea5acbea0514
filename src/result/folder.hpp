#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "result/record.hpp"
#include "result/step_trace.hpp"

namespace tpbench {

/// The records of a result folder, sorted by id. A file that is not a whole, valid record is named in a
/// warning and left out. Needs no lock. Throws EnvironmentError when there is no such folder.
std::vector<Record> read_records(const std::filesystem::path& folder);

/// The files below `folder`/records that would hold records, sorted by name; empty when there are none.
std::vector<std::filesystem::path> record_files(const std::filesystem::path& folder);

/// One record from its file. Throws EnvironmentError when the file cannot be read and std::runtime_error with
/// the rule when it is no valid record of this name.
Record read_record(const std::filesystem::path& file);

/// The timeline of a case; empty when there is none, or no valid one.
std::optional<StepTrace> read_trace(const std::filesystem::path& folder, const std::string& id);

/// Throws UsageError when `folder` is no folder or holds no sweep.
void check_can_be_resumed(const std::filesystem::path& folder);

/// The same, and when its sweep is another one: each differing key is named. More epochs are no other sweep.
void check_same_sweep(const std::filesystem::path& folder, const Json& resolved_sweep);

/// The --filter texts of the run that wrote to this folder last; none when it left no word of them. Throws
/// UsageError when that word is damaged.
std::vector<std::string> recorded_filters(const std::filesystem::path& folder);

/// The name of the fabric that the folder's results are labelled with; empty when it has none yet.
std::optional<std::string> recorded_label(const std::filesystem::path& folder);

/// A folder that one run writes its results to (docs/record.md, "The result folder"). Locked against other
/// runs for the life of the object. Every file appears whole or not at all. Writers throw EnvironmentError.
class ResultFolder {
 public:
  /// A new folder, with its parents. Throws UsageError when it already holds a sweep, records or anything
  /// that is not tpbench's, or when another run has it; EnvironmentError when it cannot be written to or less
  /// than 16 MiB are free.
  static ResultFolder create(const std::filesystem::path& path);

  /// The same, as `path`-2, -3, ... where that name is taken.
  static ResultFolder create_numbered(const std::filesystem::path& path);

  /// The folder of an earlier run of the same sweep, rid of what an interrupted write left there. Throws
  /// UsageError when it holds no sweep or another one (each differing key is named); otherwise as `create`.
  /// Of a sweep with more epochs than it had it keeps the new one.
  static ResultFolder resume(const std::filesystem::path& path, const Json& resolved_sweep);

  /// Where the run that wrote here is gone, and left a case running: makes the failed record of it, with
  /// `reason`, and the summary. Nothing when another run has the folder or it is not seen from here.
  static void settle(const std::filesystem::path& path, const std::string& reason,
                     const std::function<std::string(const std::vector<Record>&)>& summarise);

  ResultFolder(ResultFolder&& other) noexcept;
  ResultFolder& operator=(ResultFolder&& other) noexcept;
  ~ResultFolder();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// sweep.json: what `resume` compares with.
  void write_sweep(const Json& resolved_sweep);

  /// run.json: what was typed and which cases it chose, for `recorded_filters`.
  void write_run(const std::string& command, const std::vector<std::string>& filters);

  /// Writes environment.json, or environment-2.json, ... when an earlier launch had another one, and returns
  /// the name for the records. An equal description is not written
  /// again; "started_at", "noise" and "memory_available_bytes" may differ in it, at any depth.
  std::string write_environment(const Json& environment);

  /// records/ID.json, replacing an earlier record of that case.
  void write_record(const Record& record);

  /// traces/ID.json, replacing an earlier one.
  void write_trace(const StepTrace& trace);

  /// summary.csv, replacing an earlier one.
  void write_summary(std::string_view csv);

  [[nodiscard]] std::vector<Record> read_records() const { return tpbench::read_records(path_); }

 private:
  explicit ResultFolder(std::filesystem::path path);  // locks

  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace tpbench
