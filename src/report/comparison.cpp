#include "report/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "report/axes.hpp"
#include "result/environment_difference.hpp"
#include "result/scaling.hpp"
#include "result/two_samples.hpp"

namespace tpbench {
namespace {

// From here on ranks have something to say against a hundred cells, and a median of epochs has an interval.
constexpr std::size_t kEpochsForRanks = 6;

// ---- one cell

// The values that the verdict rests on: epoch medians where both sides have several, as two passes over a
// sweep differ more than one says; otherwise blocks of the one pass.
struct Values {
  std::vector<double> base, other;
  Basis basis = Basis::blocks;
  std::size_t passes = 1;
};

Values values_of(const Quantity& base, const Quantity& other) {
  const std::size_t epochs = std::min(base.epoch_medians_s.size(), other.epoch_medians_s.size());
  if (epochs >= 2) return {base.epoch_medians_s, other.epoch_medians_s, Basis::epochs, epochs};
  return {block_medians(base.samples_s), block_medians(other.samples_s), Basis::blocks, 1};
}

RatioTest test_values(const Values& values) {
  const bool few = values.basis == Basis::epochs && values.passes < kEpochsForRanks;
  return few ? welch_ratio_test(values.base, values.other) : rank_ratio_test(values.base, values.other);
}

// How far each side strays by itself, added, and what the launch's look at the machine adds; as a logarithm.
// The probe weighs less the more often the sweep itself has looked.
double noise_of(const Values& values, const Comparison& comparison) {
  const double target = std::hypot(comparison.base->target_ci, comparison.other->target_ci);
  // A noise of 0.2 is a step that is 1.2 times as long.
  const double launches = (std::log1p(comparison.noise_base) + std::log1p(comparison.noise_other)) /
                          static_cast<double>(values.passes);
  return std::max(target, spread_of(values.base) + spread_of(values.other) + launches);
}

Cell measure_cell(const Comparison& comparison, const Quantity& base, const Quantity& other) {
  Cell cell;
  cell.base_s = base.summary.median;
  cell.other_s = other.summary.median;
  if (cell.base_s <= 0 || cell.other_s <= 0) return cell;
  cell.ratio = cell.other_s / cell.base_s;
  const Values values = values_of(base, other);
  cell.basis = values.basis;
  const RatioTest test = test_values(values);
  cell.p_value = test.p_value;
  cell.ci95 = test.ci95;
  // Medians of blocks or epochs need not have the median of the samples between them.
  if (cell.ci95) {
    cell.ci95 = {{std::min((*cell.ci95)[0], *cell.ratio), std::max((*cell.ci95)[1], *cell.ratio)}};
    cell.noise = std::expm1(noise_of(values, comparison));
  }
  return cell;
}

Verdict judge(const Cell& cell) {
  if (!cell.ratio || !cell.p_value || !cell.noise) return Verdict::not_judged;
  const bool is_certain = *cell.p_value <= kFalseDiscoveryRate;
  const bool is_large = std::abs(std::log(*cell.ratio)) > std::log1p(*cell.noise) &&
                        std::abs(cell.other_s - cell.base_s) > kLeastDifference_s;
  if (!is_certain || !is_large) return Verdict::within_noise;
  return *cell.ratio > 1 ? Verdict::slower : Verdict::faster;
}

// ---- all cells

// All quantities of all cases are one family: a reader looks for marks in the whole table.
void judge_all(std::vector<ComparedCase>& cases) {
  std::vector<Cell*> tested;
  std::vector<double> p_values;
  for (ComparedCase& compared : cases) {
    for (Cell& cell : compared.cells) {
      if (!cell.p_value) continue;
      tested.push_back(&cell);
      p_values.push_back(*cell.p_value);
    }
  }
  const std::vector<double> adjusted = adjusted_p_values(p_values);
  for (std::size_t i = 0; i < tested.size(); ++i) {
    tested[i]->p_value = adjusted[i];
    tested[i]->verdict = judge(*tested[i]);
  }
}

QuantitySummary summarise_quantity(const std::vector<ComparedCase>& cases, std::size_t quantity) {
  QuantitySummary summary;
  double logarithms = 0;
  for (const ComparedCase& compared : cases) {
    const Cell& cell = compared.cells[quantity];
    if (cell.ratio) {
      logarithms += std::log(*cell.ratio);
      ++summary.ratios;
    }
    summary.judged += cell.verdict != Verdict::not_judged ? 1 : 0;
    summary.slower += cell.verdict == Verdict::slower ? 1 : 0;
    summary.faster += cell.verdict == Verdict::faster ? 1 : 0;
  }
  if (summary.ratios > 0) summary.geometric_mean = std::exp(logarithms / static_cast<double>(summary.ratios));
  return summary;
}

// ---- the join

// The id says what was measured and nothing else; label, machine and time of day are not in it, and neither
// are threads that were left to the machine.
std::vector<UnmatchedCase> join(const ResultSet& base, const ResultSet& other) {
  std::map<std::string, UnmatchedCase> joined;
  for (const Record& record : base.records) joined[record.id].base = &record;
  for (const Record& record : other.records) joined[record.id].other = &record;
  std::vector<UnmatchedCase> pairs;
  for (const auto& [id, pair] : joined) pairs.push_back(pair);
  const auto asked = [](const UnmatchedCase& pair) {
    return asked_case(pair.base != nullptr ? *pair.base : *pair.other);
  };
  std::stable_sort(pairs.begin(), pairs.end(), [&](const UnmatchedCase& a, const UnmatchedCase& b) {
    return comes_before(asked(a), asked(b));
  });
  return pairs;
}

bool is_usable(const Record* record) { return record != nullptr && is_timed(*record); }

// Schema 2 times what ranks do together on one clock; what schema 1 calls communication, wait and other is another
// quantity.
bool defines_otherwise(const Record& base, const Record& other) {
  constexpr int kOneClock = 2;
  return (base.schema < kOneClock) != (other.schema < kOneClock);
}

// In how many latencies, of the record of either that knows, a step is done: with few the start of a step, which is
// another in schema 2, is a part of it that counts.
bool is_of_few_latencies(const Record& base, const Record& other) {
  constexpr double kMany = 50;
  const Record& newer = base.schema > other.schema ? base : other;
  if (!newer.clock || newer.clock->clocks == 1) return false;
  return newer.time->step.summary.median < kMany * newer.clock->worst_case_s;
}

// "algorithm (mpi in A, shm in B)": fields that have no value in common, when no case has.
std::string why_nothing_in_common(const ResultSet& base, const ResultSet& other) {
  std::vector<std::string> differing;
  for (const CaseField& field : case_fields()) {
    std::set<std::string> first, second;
    for (const Record& record : base.records) first.insert(field_text(field, asked_case(record)));
    for (const Record& record : other.records) second.insert(field_text(field, asked_case(record)));
    const bool shares = std::any_of(first.begin(), first.end(),
                                    [&](const std::string& value) { return second.contains(value); });
    if (shares) continue;
    differing.push_back(fmt::format("{} ({} there, {} here)", field.key,
                                    join_words(std::vector<std::string>(first.begin(), first.end())),
                                    join_words(std::vector<std::string>(second.begin(), second.end()))));
  }
  if (differing.empty()) return "run the same sweep file in both";
  return "they differ in " + join_words(differing);
}

// ---- what stands beside the numbers

const Json* environment_of(const ResultSet& set) {
  const auto first = set.environments.find("environment.json");
  if (first != set.environments.end()) return &first->second;
  return set.environments.empty() ? nullptr : &set.environments.begin()->second;
}

std::vector<ComparedSeries> compare_series(const ResultSet& base, const ResultSet& other) {
  std::vector<ComparedSeries> all;
  std::map<std::string, std::size_t> places;
  const auto add = [&](const ResultSet& set, std::optional<UsefulDegree> ComparedSeries::*side) {
    for (UsefulDegree& useful : useful_degrees(set.records, set.efficiency_floor)) {
      const auto [place, is_new] = places.try_emplace(useful.series, all.size());
      if (is_new) all.emplace_back().name = useful.name;
      all[place->second].*side = std::move(useful);
    }
  };
  add(base, &ComparedSeries::base);
  add(other, &ComparedSeries::other);
  return all;
}

std::size_t count_records(const std::vector<ComparedCase>& cases,
                          bool (*counts)(const Record& base, const Record& other)) {
  return static_cast<std::size_t>(
      std::count_if(cases.begin(), cases.end(),
                    [&](const ComparedCase& compared) { return counts(*compared.base, *compared.other); }));
}

void remark_on_set(const ResultSet& set, std::vector<std::string>& remarks) {
  if (!set.noise()) {
    remarks.push_back(fmt::format("{}: no environment.json says how noisy the machine was; {:.2f} is assumed",
                                  set.path, kUnknownNoise));
  }
  if (set.environments.size() > 1) {
    remarks.push_back(
        fmt::format("{}: {} launches wrote to this folder; the first one's environment is shown", set.path,
                    set.environments.size()));
  }
  std::set<std::string> labels;
  for (const Record& record : set.records) labels.insert("\"" + record.label + "\"");
  if (labels.size() > 1) {
    remarks.push_back(fmt::format("{}: its records have several labels: {}", set.path,
                                  join_words(std::vector<std::string>(labels.begin(), labels.end()))));
  }
}

std::vector<std::string> remarks_on(const Comparison& comparison) {
  std::vector<std::string> remarks;
  remark_on_set(*comparison.base, remarks);
  remark_on_set(*comparison.other, remarks);
  const auto& cases = comparison.cases;
  if (const std::size_t count = count_records(cases, [](const Record& a, const Record& b) {
        return a.point.threads_per_rank != b.point.threads_per_rank;
      })) {
    remarks.push_back(fmt::format(
        "{} of {} cases ran with other threads per rank in the two folders, as the sweep left that to the "
        "machine; set threads_per_rank to compare like with like",
        count, cases.size()));
  }
  if (const std::size_t count = count_records(cases, defines_otherwise)) {
    std::string remark = fmt::format(
        "{} of {} cases were measured by definitions of schema 1 in one folder and of schema 2 in the other: their "
        "communication is not compared, nor are wait, other and busbw to be (docs/methodology.md, \"Older records\")",
        count, cases.size());
    if (const std::size_t few = count_records(cases, [](const Record& a, const Record& b) {
          return defines_otherwise(a, b) && is_of_few_latencies(a, b);
        })) {
      remark += fmt::format("; {} have a step under 50 latencies of their network, of which how it begins is a part", few);
    }
    remarks.push_back(remark);
  }
  if (const std::size_t count = count_records(cases, [](const Record& a, const Record& b) {
        return std::min(a.epochs_done, b.epochs_done) < 2;
      })) {
    remarks.push_back(fmt::format(
        "{} of {} cases have one epoch: one pass cannot see how launches differ, so only differences beyond "
        "the noise probe are marked; measure.epochs of 6 or more in both shows smaller ones",
        count, cases.size()));
  }
  return remarks;
}

}  // namespace

Comparison compare(const ResultSet& base, const ResultSet& other) {
  Comparison comparison;
  comparison.base = &base;
  comparison.other = &other;
  comparison.noise_base = base.noise().value_or(kUnknownNoise);
  comparison.noise_other = other.noise().value_or(kUnknownNoise);
  for (const UnmatchedCase& pair : join(base, other)) {
    if (!is_usable(pair.base) || !is_usable(pair.other)) {
      comparison.unmatched.push_back(pair);
      continue;
    }
    ComparedCase compared;
    compared.base = pair.base;
    compared.other = pair.other;
    for (std::size_t i = 0; i < compared.cells.size(); ++i) {
      const auto member = kComparedQuantities[i].member;
      if (member == &TimeResult::communication && defines_otherwise(*pair.base, *pair.other)) continue;
      compared.cells[i] = measure_cell(comparison, (*pair.base->time).*member, (*pair.other->time).*member);
    }
    comparison.cases.push_back(std::move(compared));
  }
  const bool share_a_case =
      !comparison.cases.empty() ||
      std::any_of(comparison.unmatched.begin(), comparison.unmatched.end(),
                  [](const UnmatchedCase& pair) { return pair.base != nullptr && pair.other != nullptr; });
  if (!share_a_case) {
    throw UsageError({Fault{
        other.path, "", "",
        fmt::format("has no case in common with {}: {}", base.path, why_nothing_in_common(base, other))}});
  }
  judge_all(comparison.cases);
  for (std::size_t i = 0; i < comparison.summaries.size(); ++i)
    comparison.summaries[i] = summarise_quantity(comparison.cases, i);
  const Json *first = environment_of(base), *second = environment_of(other);
  if (first != nullptr && second != nullptr)
    comparison.environment = environment_differences(*first, *second);
  comparison.series = compare_series(base, other);
  comparison.remarks = remarks_on(comparison);
  return comparison;
}

bool hides_difference(const Cell& cell) {
  return cell.verdict == Verdict::within_noise && cell.p_value.value_or(1) <= kFalseDiscoveryRate;
}

std::vector<const ComparedCase*> blind_at(const Comparison& comparison, double limit) {
  std::vector<const ComparedCase*> found;
  for (const ComparedCase& compared : comparison.cases) {
    const Cell& step = compared.cells[0];
    const bool is_blind = step.verdict == Verdict::not_judged ||
                          (step.verdict == Verdict::within_noise && step.noise.value_or(0) > limit);
    if (is_blind) found.push_back(&compared);
  }
  return found;
}

std::vector<const UnmatchedCase*> broken_in_other(const Comparison& comparison) {
  std::vector<const UnmatchedCase*> found;
  for (const UnmatchedCase& pair : comparison.unmatched) {
    const bool was_ok = pair.base != nullptr && is_timed(*pair.base);
    if (was_ok && pair.other != nullptr && pair.other->status == Status::failed) found.push_back(&pair);
  }
  return found;
}

std::vector<const ComparedCase*> slower_than(const Comparison& comparison, double limit) {
  std::vector<const ComparedCase*> found;
  for (const ComparedCase& compared : comparison.cases) {
    const Cell& step = compared.cells[0];
    if (step.verdict == Verdict::slower && *step.ratio > 1 + limit) found.push_back(&compared);
  }
  return found;
}

}  // namespace tpbench
