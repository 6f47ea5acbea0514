#include "report/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "report/axes.hpp"
#include "report/compare_judge.hpp"
#include "report/compare_machine.hpp"
#include "report/compare_remarks.hpp"
#include "result/environment_difference.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

// ---- the launches

std::string start_of(const ResultSet& set) {
  const Json* environment = environment_of(set);
  if (environment != nullptr && environment->contains("started_at") &&
      environment->at("started_at").is_string())
    return environment->at("started_at").get<std::string>();
  std::string earliest = set.records.front().started_at;
  for (const Record& record : set.records) earliest = std::min(earliest, record.started_at);
  return earliest;
}

std::vector<std::string> starts_of(const Side& side) {
  std::vector<std::string> starts;
  for (const ResultSet* launch : side.launches) starts.push_back(start_of(*launch));
  return starts;
}

Side make_side(std::span<const ResultSet* const> launches) {
  Side side;
  side.launches.assign(launches.begin(), launches.end());
  std::stable_sort(side.launches.begin(), side.launches.end(),
                   [](const ResultSet* a, const ResultSet* b) { return start_of(*a) < start_of(*b); });
  for (const ResultSet* launch : launches)
    side.noise = std::max(side.noise, launch->noise().value_or(kUnknownNoise));
  return side;
}

// A launch that counts twice would make the scatter of launches look small.
void check_sides(const Side& base, const Side& other) {
  if (base.launches.size() == 1 && other.launches.size() == 1) return;
  if (base.launches.size() == 1) {
    throw UsageError({Fault{
        base.first().path, "", "",
        "is a base of one launch against several: how it scatters is not known; give two or more on each "
        "side, one on each, or several as the base of one"}});
  }
  std::set<std::filesystem::path> seen;
  for (const Side* side : {&base, &other}) {
    for (const ResultSet* launch : side->launches) {
      if (!seen.insert(std::filesystem::weakly_canonical(launch->path)).second)
        throw UsageError({Fault{launch->path, "", "", "is named twice; every launch counts once"}});
    }
  }
}

// ---- the join

// One case in every launch of both sides; null where a launch does not have it.
struct JoinedCase {
  std::vector<const Record*> base, other;
};

// The id says what was measured and nothing else; label, machine and time of day are not in it, and neither
// are threads that were left to the machine.
std::vector<JoinedCase> join(const Side& base, const Side& other) {
  std::map<std::string, JoinedCase> joined;
  const auto add = [&](const Side& side, std::vector<const Record*> JoinedCase::*records) {
    for (std::size_t i = 0; i < side.launches.size(); ++i) {
      for (const Record& record : side.launches[i]->records) {
        JoinedCase& place = joined[record.id];
        place.base.resize(base.launches.size());
        place.other.resize(other.launches.size());
        (place.*records)[i] = &record;
      }
    }
  };
  add(base, &JoinedCase::base);
  add(other, &JoinedCase::other);
  std::vector<std::pair<Case, JoinedCase>> found;
  for (auto& [id, launches] : joined) {
    const Record* any = nullptr;
    for (const auto* side : {&launches.base, &launches.other}) {
      for (const Record* record : *side) any = any == nullptr ? record : any;
    }
    found.emplace_back(asked_case(*any), std::move(launches));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return comes_before(a.first, b.first); });
  std::vector<JoinedCase> cases;
  for (auto& [point, launches] : found) cases.push_back(std::move(launches));
  return cases;
}

bool is_usable(const Record* record) { return record != nullptr && is_timed(*record); }

// What of a case can be used: whole pairs where sides take turns.
CaseLaunches usable_launches(const JoinedCase& joined, Design design) {
  CaseLaunches usable;
  if (design == Design::alternated) {
    for (std::size_t i = 0; i < joined.base.size(); ++i) {
      if (!is_usable(joined.base[i]) || !is_usable(joined.other[i])) continue;
      usable.base.push_back(joined.base[i]);
      usable.other.push_back(joined.other[i]);
    }
    return usable;
  }
  std::copy_if(joined.base.begin(), joined.base.end(), std::back_inserter(usable.base), is_usable);
  std::copy_if(joined.other.begin(), joined.other.end(), std::back_inserter(usable.other), is_usable);
  return usable;
}

// What keeps a case from being compared.
UnmatchedCase unmatched_case(const JoinedCase& joined) {
  const auto culprit = [](const std::vector<const Record*>& records) {
    const auto bad = std::find_if_not(records.begin(), records.end(), is_usable);
    return bad == records.end() ? records.front() : *bad;
  };
  UnmatchedCase unmatched = {culprit(joined.base), culprit(joined.other)};
  // A case that only some launches have is named by a record all the same.
  if (unmatched.base == nullptr && unmatched.other == nullptr) {
    for (const Record* record : joined.base) unmatched.base = record != nullptr ? record : unmatched.base;
    if (unmatched.base == nullptr)
      unmatched.other = *std::find_if(joined.other.begin(), joined.other.end(),
                                      [](const Record* r) { return r != nullptr; });
  }
  return unmatched;
}

bool is_on_both_sides(const JoinedCase& joined) {
  const auto is_there = [](const Record* record) { return record != nullptr; };
  return std::any_of(joined.base.begin(), joined.base.end(), is_there) &&
         std::any_of(joined.other.begin(), joined.other.end(), is_there);
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

}  // namespace

std::string Side::path() const {
  if (launches.size() == 1) return first().path;
  return fmt::format("{} and {} more", first().path, launches.size() - 1);
}

Comparison compare(const ResultSet& base, const ResultSet& other) {
  const ResultSet *first = &base, *second = &other;
  return compare({&first, 1}, {&second, 1});
}

Comparison compare(std::span<const ResultSet* const> base, std::span<const ResultSet* const> other) {
  Comparison comparison;
  comparison.base = make_side(base);
  comparison.other = make_side(other);
  check_sides(comparison.base, comparison.other);
  comparison.design = design_of(starts_of(comparison.base), starts_of(comparison.other));
  const bool is_rolling = base.size() > 1 && other.size() == 1;
  if (is_rolling) comparison.design = Design::rolling;
  comparison.rounds = is_rolling ? base.size() : std::min(base.size(), other.size());
  const SideFacts facts = {
      .target_ci = std::hypot(comparison.base.first().target_ci, comparison.other.first().target_ci),
      // A noise of 0.2 is a step that is 1.2 times as long.
      .launch_noise = std::log1p(comparison.base.noise) + std::log1p(comparison.other.noise),
      .design = comparison.design};
  const std::size_t least = comparison.rounds > 1 ? 2 : 1;
  std::vector<CaseLaunches> usable;
  bool share_a_case = false;
  for (const JoinedCase& joined : join(comparison.base, comparison.other)) {
    share_a_case = share_a_case || is_on_both_sides(joined);
    CaseLaunches launches = usable_launches(joined, comparison.design);
    if (launches.base.size() < least || launches.other.size() < (is_rolling ? 1 : least)) {
      comparison.unmatched.push_back(unmatched_case(joined));
      continue;
    }
    comparison.cases.push_back({launches.base.front(), launches.other.front(), {}});
    usable.push_back(std::move(launches));
  }
  if (!share_a_case) {
    throw UsageError(
        {Fault{comparison.other.path(), "", "",
               fmt::format("has no case in common with {}: {}", comparison.base.path(),
                           why_nothing_in_common(comparison.base.first(), comparison.other.first()))}});
  }
  comparison.machine = machine_change(usable, comparison);
  comparison.cores = core_latency_change(usable, comparison);
  judge_cases(comparison, usable, facts);
  const Json *first = environment_of(comparison.base.first()),
             *second = environment_of(comparison.other.first());
  if (first != nullptr && second != nullptr)
    comparison.environment = environment_differences(*first, *second);
  comparison.series = compare_series(comparison.base.first(), comparison.other.first());
  comparison.alarms = alarms_of(comparison, usable);
  comparison.remarks = remarks_on(comparison, usable);
  return comparison;
}

bool hides_difference(const Cell& cell) {
  return cell.verdict == Verdict::within_noise && cell.noise.value_or(0) > 0 &&
         cell.p_value.value_or(1) <= kFalseDiscoveryRate;
}

std::vector<const ComparedCase*> blind_at(const Comparison& comparison, double limit) {
  std::vector<const ComparedCase*> found;
  for (const ComparedCase& compared : comparison.cases) {
    const Cell& step = compared.cells[0];
    const bool is_blind = step.verdict == Verdict::not_judged ||
                          (step.verdict == Verdict::within_noise && step.detectable.value_or(0) > limit);
    if (is_blind) found.push_back(&compared);
  }
  return found;
}

std::size_t wider_than(const Comparison& comparison, double limit) {
  std::size_t wide = 0;
  for (const ComparedCase& compared : comparison.cases) {
    for (std::size_t i = 0; i < compared.cells.size(); ++i) {
      const Cell& cell = compared.cells[i];
      if (cell.verdict == Verdict::not_judged) continue;
      const auto width = [&](const std::optional<std::array<double, 2>>& ci95) {
        const double half = ci95 ? std::sqrt((*ci95)[1] / (*ci95)[0]) - 1 : 0;
        return half * cell.base_s > kLeastDifference_s ? half : 0;
      };
      const RestsOn rests_on = comparison.summaries[i].rests_on;
      const double half = rests_on == RestsOn::rest || rests_on == RestsOn::cores ? width(cell.rest_ci95)
                          : rests_on == RestsOn::both ? std::max(width(cell.ci95), width(cell.rest_ci95))
                                                      : width(cell.ci95);
      wide += half > limit ? 1 : 0;
    }
  }
  return wide;
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
