#include "result/scaling.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <utility>

namespace tpbench {
namespace {

// Empty rather than infinite: a quotient by nothing does not exist.
std::optional<double> ratio(double numerator, double denominator) {
  if (denominator <= 0) return std::nullopt;
  return numerator / denominator;
}

std::optional<double> bytes_ratio(std::optional<std::int64_t> baseline, std::optional<std::int64_t> now) {
  if (!baseline || !now || *baseline == 0) return std::nullopt;
  return ratio(static_cast<double>(*baseline), static_cast<double>(*now));
}

// Replicated ones too: a weight that is sharded at one degree and held by several ranks at the next must not
// look as if it had gone.
std::optional<std::int64_t> weights_of(const MemoryResult& memory) {
  if (!memory.by_category) return std::nullopt;
  return (*memory.by_category)[Category::weights] + (*memory.by_category)[Category::replicated_weights];
}

ScalingResult scaling_of(const Record& record, const Record* baseline) {
  ScalingResult scaling;
  const TimeResult& time = *record.time;
  scaling.communication_fraction = ratio(time.communication.summary.median, time.step.summary.median);
  if (baseline == nullptr) return scaling;
  scaling.baseline_id = baseline->id;
  scaling.speedup = ratio(baseline->time->step.summary.median, time.step.summary.median);
  if (scaling.speedup)
    scaling.efficiency = *scaling.speedup / static_cast<double>(record.point.layout.ranks());
  if (baseline->memory && record.memory) {
    scaling.memory_reduction = bytes_ratio(baseline->memory->peak, record.memory->peak);
    scaling.weights_reduction = bytes_ratio(weights_of(*baseline->memory), weights_of(*record.memory));
  }
  return scaling;
}

// Degrees are compared within one launch and with one number of threads; where that is not so, the reader
// hears it.
constexpr const char* kOtherThreads = "baseline_threads";
constexpr const char* kOtherLaunch = "baseline_launch";

std::vector<Warning> warnings_of(const Record& record, const Record* baseline) {
  std::vector<Warning> warnings;
  for (const Warning& warning : record.warnings) {
    if (warning.code != kOtherThreads && warning.code != kOtherLaunch) warnings.push_back(warning);
  }
  if (baseline == nullptr || !is_timed(record)) return warnings;
  if (baseline->point.threads_per_rank != record.point.threads_per_rank) {
    warnings.push_back(
        {kOtherThreads,
         fmt::format("the tp_degree 1 case ran with {} thread(s) per rank and this one with {}: no "
                     "scaling is stated; set threads_per_rank, or run all degrees in one launch",
                     baseline->point.threads_per_rank.value_or(0),
                     record.point.threads_per_rank.value_or(0))});
  } else if (baseline->environment != record.environment) {
    warnings.push_back({kOtherLaunch,
                        "the tp_degree 1 case ran in another launch: two launches differ more than their "
                        "intervals say; run all degrees in one launch"});
  }
  return warnings;
}

}  // namespace

Case asked_case(const Record& record) {
  Case asked = record.point;
  if (case_id(asked) != record.id) asked.threads_per_rank.reset();
  return asked;
}

std::string series_id(const Record& record) { return case_id_in(asked_case(record), Layout{}); }

bool rescale(Record& record, const Record* baseline) {
  std::vector<Warning> warnings = warnings_of(record, baseline);
  ScalingResult scaling;
  if (is_timed(record)) {
    const bool comparable =
        baseline != nullptr && baseline->point.threads_per_rank == record.point.threads_per_rank;
    scaling = scaling_of(record, comparable ? baseline : nullptr);
  }
  if (scaling == record.scaling && warnings == record.warnings) return false;
  record.scaling = scaling;
  record.warnings = std::move(warnings);
  return true;
}

std::vector<std::size_t> apply_scaling(std::vector<Record>& records) {
  std::vector<std::string> series;
  std::map<std::string, const Record*> baselines;
  for (const Record& record : records) {
    series.push_back(series_id(record));
    if (is_timed(record) && record.point.layout.ranks() == 1) baselines[series.back()] = &record;
  }
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto baseline = baselines.find(series[i]);
    if (rescale(records[i], baseline == baselines.end() ? nullptr : baseline->second)) changed.push_back(i);
  }
  return changed;
}

}  // namespace tpbench
