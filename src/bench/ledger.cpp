#include "bench/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "base/units.hpp"
#include "bench/record_builder.hpp"
#include "bench/warnings.hpp"
#include "result/running.hpp"
#include "result/scaling.hpp"

namespace tpbench {

Ledger::Ledger(const SweepRun& run, const LaunchFacts& facts) : run_(run), facts_(facts) {
  for (const Case& point : run.sweep.cases) sweep_order_.push_back(case_id(point));
  if (!run.resume) return;
  for (Record& record : run.folder->read_records()) kept_.emplace(record.id, std::move(record));
  // What the filters leave out stays in the summary, and may be the baseline of what they let through.
  std::set<std::string> selected;
  for (const Case& point : run.cases) selected.insert(case_id(point));
  for (const auto& [id, record] : kept_) {
    if (!selected.contains(id)) add(record);
  }
}

std::int64_t Ledger::keep(const std::string& id) {
  const auto found = kept_.find(id);
  if (found == kept_.end() || found->second.status != Status::ok) return 0;
  const Record& record = found->second;
  const bool checked = record.verification.passed.has_value() || run_.sweep.verify == VerifyMode::off;
  if (!checked || !is_timed(record)) return 0;
  // What is measured now is defined otherwise than in an older schema: epochs of both are no sample of
  // anything.
  const bool goes_on = record.epochs_done < run_.sweep.measure.epochs;
  if (goes_on && record.schema < kRecordSchema) return 0;
  const std::lock_guard lock(mutex_);
  add(record);
  records_.back().epochs_planned = std::max(record.epochs_planned, run_.sweep.measure.epochs);
  return std::min(record.epochs_done, run_.sweep.measure.epochs);
}

void Ledger::add(Record record) {
  index_[record.id] = records_.size();
  series_[series_id(record)].push_back(records_.size());
  records_.push_back(std::move(record));
}

void Ledger::open(const std::string& id, const Case& point) {
  if (index_.contains(id)) return;
  Record record = start_record(id, point, run_.sweep.model_of(point));
  if (const ModelFile* file = run_.sweep.model_file_of(point)) {
    record.model->hash = file->hash;
    record.model->parameters = file->parameters;
  }
  record.label = run_.label;
  record.environment = run_.environment_file;
  record.started_at = utc_timestamp();
  record.epochs_planned = run_.sweep.measure.epochs;
  record.ranks.world = static_cast<std::int64_t>(facts_.ranks.size());
  const std::lock_guard lock(mutex_);
  add(std::move(record));
}

void Ledger::skip(const std::string& id, const Skip& why) {
  const std::lock_guard lock(mutex_);
  Record& record = records_[index_.at(id)];
  skip_record(record, why.code, why.reason);
  const auto earlier = kept_.find(id);
  if (earlier != kept_.end() && earlier->second.status == Status::skipped &&
      earlier->second.reason == why.reason) {
    record = earlier->second;  // nothing new: the file stays as it is
    return;
  }
  save(id);
}

void Ledger::start(const std::string& id, const Team& team) {
  const std::lock_guard lock(mutex_);
  Record& record = records_[index_.at(id)];
  if (record.environment != run_.environment_file)
    record.earlier_environments.push_back(std::exchange(record.environment, run_.environment_file));
  record.ranks = rank_info(team, facts_);
  running_ = id;
  case_stopwatch_.restart();
  const RankPlace& own = facts_.ranks.front();
  Record left = record;
  fail_record(
      left, ReasonCode::lost,
      fmt::format("the run ended during this case and left no word: rank 0 (process {} on {}) was killed, or "
                  "its host was lost",
                  own.pid, own.host));
  mark_running(run_.folder->path(), left);
}

void Ledger::finish(const std::string& id, const CaseOutcome& outcome, const Team& team) {
  const std::lock_guard lock(mutex_);
  running_.clear();
  Record& record = records_[index_.at(id)];
  record.duration_s += case_stopwatch_.elapsed_s();
  // An epoch that failed makes the case a failed one, whatever the next ones bring.
  if (!record.reason && outcome.status == Status::skipped && is_timed(record)) {
    skip_record(record, *outcome.reason_code, *outcome.reason);
  } else if (!record.reason) {
    add_outcome(record, outcome, team, facts_);
    record.warnings = find_warnings({facts_, record.point, team, outcome, run_.sweep.measure, history_,
                                     record, devices_of(run_.devices, record.point.backend)});
    if (outcome.trace) write_trace(id, *outcome.trace);
    if (outcome.reference) history_.add({active_ranks(team), record.point.placement}, *outcome.reference);
  }
  save(id);
  clear_running(run_.folder->path());
}

void Ledger::write_trace(const std::string& id, StepTrace trace) {
  trace.id = id;
  for (TraceRank& rank : trace.ranks) rank.host = facts_.ranks[static_cast<std::size_t>(rank.rank)].host;
  run_.folder->write_trace(trace);
}

void Ledger::give_up(ReasonCode code, const std::string& reason) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || running_.empty()) return;
  Record& record = records_[index_.at(running_)];
  clear_running(run_.folder->path());
  // The epochs before stay: what was lost is not the case's fault.
  if (code == ReasonCode::lost && record.epochs_done > 0) return;
  record.duration_s += case_stopwatch_.elapsed_s();
  fail_record(record, code, reason);
  running_.clear();
  run_.folder->write_record(record);
  run_.folder->write_summary(run_.summarise(in_sweep_order()));
}

void Ledger::hold_files() {
  // A disk that does not answer must not keep the process: its temporary file is removed when the sweep is
  // resumed.
  if (!mutex_.try_lock_for(std::chrono::seconds(3))) return;
  clear_running(run_.folder->path());
  try {
    run_.folder->write_summary(run_.summarise(in_sweep_order()));
  } catch (const EnvironmentError&) {
    // The records are there, and nobody is left to tell.
  }
}

std::vector<Record> Ledger::in_sweep_order() const {
  std::vector<Record> ordered;
  for (const std::string& id : sweep_order_) {
    // Of a case that has no epoch yet in this run the folder still has what an earlier one left.
    const auto found = index_.find(id);
    const auto earlier = kept_.find(id);
    if (found != index_.end() && (id != running_ || records_[found->second].epochs_done > 0))
      ordered.push_back(records_[found->second]);
    else if (earlier != kept_.end())
      ordered.push_back(earlier->second);
  }
  return ordered;
}

void Ledger::write_summary() {
  const std::lock_guard lock(mutex_);
  run_.folder->write_summary(run_.summarise(in_sweep_order()));
}

void Ledger::close() {
  {
    const std::lock_guard lock(mutex_);
    // A run that was killed may have left a baseline without the records that wait for it.
    for (const std::size_t changed : apply_scaling(records_)) run_.folder->write_record(records_[changed]);
  }
  write_summary();
}

// Writes the record, and those of its series whose scaling it completes.
void Ledger::save(const std::string& id) {
  const std::size_t saved = index_.at(id);
  const std::vector<std::size_t>& series = series_.at(series_id(records_[saved]));
  const Record* baseline = nullptr;
  for (const std::size_t index : series) {
    if (is_timed(records_[index]) && records_[index].point.layout.ranks() == 1) baseline = &records_[index];
  }
  for (const std::size_t index : series) {
    const bool changed = rescale(records_[index], baseline);
    if (changed || index == saved) run_.folder->write_record(records_[index]);
  }
}

}  // namespace tpbench
