// From the evidence on each cell to the verdicts on all of them.
#include "report/compare_judge.hpp"

#include <algorithm>
#include <cmath>

#include "result/two_samples.hpp"

namespace tpbench {
namespace {

struct JudgedCase {
  ComparedCase* compared = nullptr;
  std::array<CellEvidence, kComparedQuantities.size()> evidence;
};

bool is_beyond(const Reading& reading, double base_s) {
  const double change = std::log(reading.ratio.value_or(1));
  return std::abs(change) > reading.noise && std::abs(std::expm1(change)) * base_s > kLeastDifference_s;
}

Verdict judge(const Cell& cell, const CellEvidence& evidence, RestsOn rests_on, double measured_p) {
  if (!cell.ratio || !cell.p_value || !cell.detectable) return Verdict::not_judged;
  const bool is_certain = *cell.p_value <= kFalseDiscoveryRate;
  const auto direction = [](const Reading& reading) {
    return *reading.ratio > 1 ? Verdict::slower : Verdict::faster;
  };
  const Reading& measured = evidence.measured;
  const bool is_large = is_beyond(measured, cell.base_s);
  const Reading* taken_out = evidence.taken_out(rests_on);
  const bool by_itself = rests_on == RestsOn::both && evidence.is_beyond_machine();
  if (rests_on == RestsOn::measured || taken_out == nullptr || by_itself)
    return is_certain && is_large ? direction(measured) : Verdict::within_noise;
  const Reading& rest = *taken_out;
  const bool rest_is_large = is_beyond(rest, cell.base_s);
  if (rests_on != RestsOn::both) return is_certain && rest_is_large ? direction(rest) : Verdict::within_noise;
  if (is_certain && is_large && rest_is_large && direction(rest) == direction(measured))
    return direction(measured);
  return is_large && measured_p <= kFalseDiscoveryRate ? Verdict::machine : Verdict::within_noise;
}

// Whether the reference work of the sides differs beyond chance: then what is compared changes it too, and
// taking it out would take a part of the difference.
bool differs(const std::optional<MachineChange>& machine) {
  constexpr double kBeyondChance = 0.01;  // and not 0.05: each time it is wrong, rounds are wasted
  return machine && machine->p_value && *machine->p_value <= kBeyondChance;
}

// Turns see both ratios without bias, and the one that varies less sees more. Without turns the machine may
// have changed between the sides, and what differs must differ both ways.
RestsOn choose(const Comparison& comparison, const std::vector<JudgedCase>& cases, std::size_t quantity) {
  // Against the variance of the same cells as measured.
  struct Compared {
    double measured = 0, taken_out = 0;
    [[nodiscard]] double share() const { return measured > 0 ? taken_out / measured : 1; }
  };
  Compared rest, cores;
  bool any = false;
  for (const JudgedCase& judged : cases) {
    const CellEvidence& evidence = judged.evidence[quantity];
    for (auto& [sum, reading] : {std::pair(&rest, &evidence.rest), std::pair(&cores, &evidence.cores)}) {
      if (!*reading || !(*reading)->ratio) continue;
      any = any || sum == &rest;
      sum->measured += evidence.measured.round_variance;
      sum->taken_out += (*reading)->round_variance;
    }
  }
  if (comparison.rounds < 2 || comparison.design != Design::alternated)
    return any ? RestsOn::both : RestsOn::measured;
  // A slope is fitted to the very pairs: it has to be worth it.
  constexpr double kWorthASlope = 0.8;
  const double without_rest = any && !differs(comparison.machine) ? rest.share() : 1,
               without_cores = differs(comparison.cores) ? 1 : cores.share();
  if (without_cores < kWorthASlope * std::min(1.0, without_rest)) return RestsOn::cores;
  return without_rest < 1 ? RestsOn::rest : RestsOn::measured;
}

// All quantities of all cases are one family: a reader looks for marks in the whole table.
void judge_all(Comparison& comparison, const std::vector<JudgedCase>& cases) {
  struct Tested {
    Cell* cell;
    const CellEvidence* evidence;
    RestsOn rests_on;
  };
  std::vector<Tested> tested;
  std::vector<double> p_values, measured_p_values;
  for (std::size_t i = 0; i < kComparedQuantities.size(); ++i)
    comparison.summaries[i].rests_on = choose(comparison, cases, i);
  for (const JudgedCase& judged : cases) {
    for (std::size_t i = 0; i < kComparedQuantities.size(); ++i) {
      const CellEvidence& evidence = judged.evidence[i];
      const RestsOn rests_on = comparison.summaries[i].rests_on;
      Cell& cell = judged.compared->cells[i] = make_cell(evidence, rests_on, comparison.design);
      if (!cell.p_value) continue;
      tested.push_back({&cell, &evidence, rests_on});
      p_values.push_back(*cell.p_value);
      measured_p_values.push_back(evidence.measured.p_value.value_or(1));
    }
  }
  const std::vector<double> adjusted = adjusted_p_values(p_values);
  const std::vector<double> measured_adjusted = adjusted_p_values(measured_p_values);
  for (std::size_t i = 0; i < tested.size(); ++i) {
    const auto& [cell, evidence, rests_on] = tested[i];
    cell->p_value = adjusted[i];
    cell->verdict = judge(*cell, *evidence, rests_on, measured_adjusted[i]);
    detect_alone(*cell, *evidence, rests_on, comparison.design, tested.size());
  }
}

// What nine of ten values do not exceed; those that are absent exceed everything.
template <typename Value>
std::optional<Value> nine_of_ten(std::vector<std::optional<Value>> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a && (!b || *a < *b); });
  return values[(9 * values.size() + 9) / 10 - 1];
}

std::optional<double> mean_ratio(const std::vector<ComparedCase>& cases, std::size_t quantity,
                                 std::optional<double> Cell::*ratio) {
  double logarithms = 0, count = 0;
  for (const ComparedCase& compared : cases) {
    const auto& value = compared.cells[quantity].*ratio;
    if (!value) continue;
    logarithms += std::log(*value);
    ++count;
  }
  return count > 0 ? std::optional(std::exp(logarithms / count)) : std::nullopt;
}

void summarise_quantity(QuantitySummary& summary, const std::vector<ComparedCase>& cases,
                        std::size_t quantity) {
  // A tenth of it is below what is marked at all.
  constexpr double kShort_s = 10 * kLeastDifference_s;
  std::vector<std::optional<double>> detectable;
  std::vector<std::optional<std::size_t>> for_10, for_5;
  for (const ComparedCase& compared : cases) {
    const Cell& cell = compared.cells[quantity];
    summary.ratios += cell.ratio ? 1 : 0;
    summary.judged += cell.verdict != Verdict::not_judged ? 1 : 0;
    summary.slower += cell.verdict == Verdict::slower ? 1 : 0;
    summary.faster += cell.verdict == Verdict::faster ? 1 : 0;
    summary.by_machine += cell.verdict == Verdict::machine ? 1 : 0;
    if (cell.verdict == Verdict::not_judged || cell.base_s < kShort_s) continue;
    detectable.push_back(cell.detectable);
    for_10.push_back(cell.rounds_for_10);
    for_5.push_back(cell.rounds_for_5);
  }
  summary.detectable = nine_of_ten(std::move(detectable));
  summary.rounds_for_10 = nine_of_ten(std::move(for_10));
  summary.rounds_for_5 = nine_of_ten(std::move(for_5));
  summary.geometric_mean = mean_ratio(cases, quantity, &Cell::ratio);
  summary.machine = mean_ratio(cases, quantity, &Cell::machine);
  summary.rest = mean_ratio(cases, quantity, &Cell::rest);
}

}  // namespace

void judge_cases(Comparison& comparison, const std::vector<CaseLaunches>& launches, const SideFacts& facts) {
  std::vector<JudgedCase> judged(launches.size());
  for (std::size_t row = 0; row < launches.size(); ++row) {
    judged[row].compared = &comparison.cases[row];
    for (std::size_t i = 0; i < kComparedQuantities.size(); ++i)
      judged[row].evidence[i] = gather_evidence(launches[row], i, facts);
  }
  judge_all(comparison, judged);
  for (std::size_t i = 0; i < comparison.summaries.size(); ++i)
    summarise_quantity(comparison.summaries[i], comparison.cases, i);
}

}  // namespace tpbench
