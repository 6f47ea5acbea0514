#include "report/compare_machine.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "result/launches.hpp"

namespace tpbench {
namespace {

constexpr double kOfTheProduct = 1;  // share of compute

// How slow the machine was in one epoch, as a logarithm.
double level_of(const ReferenceResult& look, double share) {
  const double gemm = std::log(look.before.gemm_slowest_s) + std::log(look.after.gemm_slowest_s);
  const double copy = std::log(look.before.copy_slowest_s) + std::log(look.after.copy_slowest_s);
  return (share * gemm + (1 - share) * copy) / 2;
}

// Of all looks at the case, as a logarithm; empty where one has none.
std::optional<double> core_latency_level(const Record& record) {
  double sum = 0;
  for (const ReferenceResult& look : record.reference) {
    for (const auto& latency_s : {look.before.core_latency_s, look.after.core_latency_s}) {
      if (!latency_s || *latency_s <= 0) return std::nullopt;
      sum += std::log(*latency_s);
    }
  }
  if (record.reference.empty()) return std::nullopt;
  return sum / (2 * static_cast<double>(record.reference.size()));
}

using Levels = std::optional<std::vector<double>>;

// Over the cases whose levels, one for each launch, are known on both sides.
template <typename LevelsOf>
std::optional<MachineChange> change_over_cases(const std::vector<CaseLaunches>& cases,
                                               const Comparison& comparison, const LevelsOf& levels_of_side) {
  std::vector<double> base(comparison.base.launches.size()), other(comparison.other.launches.size());
  double used = 0;
  for (const CaseLaunches& launches : cases) {
    const Levels first = levels_of_side(launches.base), second = levels_of_side(launches.other);
    if (!first || !second || first->size() != base.size() || second->size() != other.size()) continue;
    std::transform(base.begin(), base.end(), first->begin(), base.begin(), std::plus<>());
    std::transform(other.begin(), other.end(), second->begin(), other.begin(), std::plus<>());
    ++used;
  }
  if (used == 0) return std::nullopt;
  for (std::vector<double>* side : {&base, &other}) {
    for (double& level : *side) level = std::exp(level / used);
  }
  const auto test = test_launches(base, other, comparison.design);
  if (!test) return MachineChange{other.front() / base.front(), std::nullopt, std::nullopt};
  return MachineChange{test->ratio, test->ci95, test->p_value};
}

}  // namespace

double compute_share(const Record& record, std::size_t quantity) {
  const auto member = kComparedQuantities[quantity].member;
  if (member == &TimeResult::compute) return 1;
  if (member == &TimeResult::communication) return 0;
  const Quantity& communication = record.time->communication;
  const double compute_s = record.time->compute.summary.median;
  const double sum =
      is_known(communication) ? compute_s + communication.summary.median : record.time->step.summary.median;
  return sum > 0 ? std::clamp(compute_s / sum, 0.0, 1.0) : 1;
}

std::vector<double> levels_of(const Record& record, double share) {
  std::vector<double> levels;
  for (const ReferenceResult& look : record.reference) levels.push_back(level_of(look, share));
  return levels;
}

double level_of(const Record& record, double share) {
  std::vector<double> levels = levels_of(record, share);
  std::sort(levels.begin(), levels.end());
  return quantile_of_sorted(levels, 0.5);
}

bool have_reference(const std::vector<const Record*>& records) {
  const auto is_measured = [](const ReferenceResult& look) {
    return std::min({look.before.gemm_slowest_s, look.after.gemm_slowest_s, look.before.copy_slowest_s,
                     look.after.copy_slowest_s}) > 0;
  };
  const auto has = [&](const Record* record) {
    return !record->reference.empty() &&
           std::all_of(record->reference.begin(), record->reference.end(), is_measured);
  };
  return std::all_of(records.begin(), records.end(), has);
}

std::optional<std::vector<double>> core_latency_levels(const std::vector<const Record*>& records) {
  std::vector<double> levels;
  for (const Record* record : records) {
    const auto level = core_latency_level(*record);
    if (!level) return std::nullopt;
    levels.push_back(*level);
  }
  return levels;
}

std::optional<MachineChange> machine_change(const std::vector<CaseLaunches>& cases,
                                            const Comparison& comparison) {
  return change_over_cases(cases, comparison, [](const std::vector<const Record*>& records) -> Levels {
    if (!have_reference(records)) return std::nullopt;
    std::vector<double> levels;
    for (const Record* record : records) levels.push_back(level_of(*record, kOfTheProduct));
    return levels;
  });
}

std::optional<MachineChange> core_latency_change(const std::vector<CaseLaunches>& cases,
                                                 const Comparison& comparison) {
  return change_over_cases(cases, comparison, core_latency_levels);
}

}  // namespace tpbench
