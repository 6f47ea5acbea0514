#include "result/scaling.hpp"

#include <map>
#include <optional>

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

std::optional<std::int64_t> weights_of(const MemoryResult& memory) {
  if (!memory.by_category) return std::nullopt;
  return (*memory.by_category)[Category::weights];
}

ScalingResult scaling_of(const Record& record, const Record* baseline) {
  ScalingResult scaling;
  const TimeResult& time = *record.time;
  scaling.communication_fraction = ratio(time.communication.summary.median, time.step.summary.median);
  if (baseline == nullptr) return scaling;
  scaling.baseline_id = baseline->id;
  scaling.speedup = ratio(baseline->time->step.summary.median, time.step.summary.median);
  if (scaling.speedup) scaling.efficiency = *scaling.speedup / static_cast<double>(record.point.tp_degree);
  if (baseline->memory && record.memory) {
    scaling.memory_reduction = bytes_ratio(baseline->memory->peak, record.memory->peak);
    scaling.weights_reduction = bytes_ratio(weights_of(*baseline->memory), weights_of(*record.memory));
  }
  return scaling;
}

bool is_timed(const Record& record) { return record.status == Status::ok && record.time.has_value(); }

}  // namespace

Case asked_case(const Record& record) {
  Case asked = record.point;
  if (case_id(asked) != record.id) asked.threads_per_rank.reset();
  return asked;
}

std::string series_id(const Record& record) { return case_id_at_degree(asked_case(record), 1); }

std::vector<std::size_t> apply_scaling(std::vector<Record>& records) {
  std::map<std::string, const Record*> baselines;
  for (const Record& record : records) {
    if (is_timed(record) && record.point.tp_degree == 1) baselines[series_id(record)] = &record;
  }
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < records.size(); ++i) {
    Record& record = records[i];
    ScalingResult scaling;
    if (is_timed(record)) {
      const auto baseline = baselines.find(series_id(record));
      scaling = scaling_of(record, baseline == baselines.end() ? nullptr : baseline->second);
    }
    if (scaling == record.scaling) continue;
    record.scaling = scaling;
    changed.push_back(i);
  }
  return changed;
}

}  // namespace tpbench
