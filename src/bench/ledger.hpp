#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "bench/case_runner.hpp"
#include "bench/reference_look.hpp"
#include "bench/sweep_runner.hpp"
#include "bench/team.hpp"
#include "bench/why_skipped.hpp"
#include "environment/launch_facts.hpp"
#include "measure/clock.hpp"
#include "result/record.hpp"

namespace tpbench {

/// Rank 0's books of a sweep: the records, in memory and in the result folder. All but `give_up` and
/// `hold_files` are for the main thread. Whatever writes throws EnvironmentError when the file system
/// refuses.
class Ledger {
 public:
  /// Takes what an earlier run left in the folder when this one resumes it.
  Ledger(const SweepRun& run, const LaunchFacts& facts);

  /// Takes over what an earlier run left of a case and returns how many of its epochs are done: all of them
  /// when nothing is left to do, 0 when it is to be run from the start. A skipped case is looked at again.
  std::int64_t keep(const std::string& id);

  /// Begins a record; nothing when there is one already (from an earlier epoch).
  void open(const std::string& id, const Case& point);
  void skip(const std::string& id, const Skip& why);
  /// The case runs on `team` from now on; `finish` ends it.
  void start(const std::string& id, const Team& team);
  void finish(const std::string& id, const CaseOutcome& outcome, const Team& team);

  /// Leaves a failed record of the case that runs, if one does. From the guard's thread, with the main thread
  /// stuck.
  void give_up(ReasonCode code, const std::string& reason);
  /// Writes the summary and returns once no other file is being written, and keeps it so: the process is
  /// about to end.
  void hold_files();

  [[nodiscard]] const Record& record(const std::string& id) const { return records_[index_.at(id)]; }
  /// Of the whole folder, in the order of the sweep, as people wrote it.
  [[nodiscard]] std::vector<Record> in_sweep_order() const;
  void write_summary();
  /// Ends the books: what the records say of each other, and the summary.
  void close();

 private:
  void add(Record record);
  void save(const std::string& id);
  void write_trace(const std::string& id, StepTrace trace);

  const SweepRun& run_;
  const LaunchFacts& facts_;
  std::timed_mutex mutex_;  // held while files are written
  std::vector<Record> records_;
  std::map<std::string, std::size_t> index_;
  std::map<std::string, std::vector<std::size_t>> series_;  // indexes of records by series_id
  std::map<std::string, Record> kept_;
  std::vector<std::string> sweep_order_;  // ids
  std::string running_;                   // id of the case that runs; empty between cases
  Stopwatch case_stopwatch_;
  MachineHistory history_;
};

}  // namespace tpbench
