#include "report/useful_degree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

using Series = std::vector<const Record*>;  // by rising degree

// Series in the order of the table. A probe of the fabric has no work to divide, so no degree of it is
// useful.
std::vector<Series> series_of(std::span<const Record* const> records) {
  std::vector<Series> all;
  std::map<std::string, std::size_t> index;
  for (const Record* record : records) {
    if (probes_fabric(record->point.workload)) continue;
    const auto [place, is_new] = index.try_emplace(series_id(*record), all.size());
    if (is_new) all.emplace_back();
    all[place->second].push_back(record);
  }
  for (Series& series : all) {
    std::stable_sort(series.begin(), series.end(),
                     [](const Record* a, const Record* b) { return a->point.layout < b->point.layout; });
  }
  return all;
}

Stop stop_of(ReasonCode code) {
  switch (code) {
    case ReasonCode::combination:  // no degree can do what makes no sense
    case ReasonCode::divisibility:
      return Stop::divisibility;
    case ReasonCode::ranks:
      return Stop::ranks;
    case ReasonCode::placement:
      return Stop::placement;
    case ReasonCode::memory:
      return Stop::memory;
    case ReasonCode::verification:
      return Stop::verification;
    case ReasonCode::error:
      return Stop::error;
    case ReasonCode::watchdog:
      return Stop::watchdog;
    case ReasonCode::lost:
      return Stop::lost;
  }
  return Stop::error;
}

struct Excess {
  Stop stop = Stop::other;
  double over_step = 0;
  Quantity TimeResult::*part = &TimeResult::other;
};

// The part whose excess over ideal scaling is the largest, and that excess over the step.
Excess largest_excess(const Record& baseline, const Record& record) {
  const double degree = static_cast<double>(record.point.layout.ranks());
  const auto excess = [&](Quantity TimeResult::*part) {
    return ((*record.time).*part).summary.median - ((*baseline.time).*part).summary.median / degree;
  };
  const double step = record.time->step.summary.median, compute = excess(&TimeResult::compute);
  if (!is_known(record.time->communication)) {
    const double rest = excess(&TimeResult::step) - compute;
    if (compute >= rest) return {Stop::compute, compute / step, &TimeResult::compute};
    return {Stop::unknown, rest / step, &TimeResult::step};
  }
  // What the network makes ranks wait is communication already; records of schema 1 do not tell it apart.
  const auto waiting = is_known(record.time->imbalance) ? &TimeResult::imbalance : &TimeResult::wait;
  const Excess parts[] = {
      {Stop::compute, compute / step, &TimeResult::compute},
      {Stop::communication, excess(&TimeResult::communication) / step, &TimeResult::communication},
      {Stop::wait, excess(waiting) / step, waiting},
      {Stop::other, excess(&TimeResult::other) / step, &TimeResult::other}};
  const Excess* largest =
      std::max_element(std::begin(parts), std::end(parts),
                       [](const Excess& a, const Excess& b) { return a.over_step < b.over_step; });
  // Medians need not add up: an excess of the step that no part shows is charged to none of them.
  if (largest->over_step <= 0)
    return {Stop::other, std::max(0.0, excess(&TimeResult::step) / step), &TimeResult::other};
  return *largest;
}

// What the intervals of both medians leave open; empty where there are too few samples for one.
std::optional<std::array<double, 2>> efficiency_interval(const Record& baseline, const Record& record) {
  const auto degree = static_cast<double>(record.point.layout.ranks());
  if (&baseline == &record) return {{1, 1}};
  const auto &one = baseline.time->step.summary.ci95, &all = record.time->step.summary.ci95;
  if (!one || !all || (*all)[0] <= 0) return std::nullopt;
  return {{(*one)[0] / (degree * (*all)[1]), (*one)[1] / (degree * (*all)[0])}};
}

// Degrees of which it is not certain whether they reach the floor, and what leaves it open.
void find_doubts(const Series& series, double efficiency_floor, UsefulDegree& result) {
  std::vector<std::string> reasons, unknown;
  const bool has_scale = series.front()->time->step.summary.ci95.has_value();
  if (!has_scale) unknown.emplace_back("TP 1");
  for (const Record* record : series) {
    if (!is_timed(*record)) continue;
    const std::int64_t degree = record->point.layout.ranks();
    const auto interval = efficiency_interval(*series.front(), *record);
    if (interval && ((*interval)[0] >= efficiency_floor || (*interval)[1] < efficiency_floor)) continue;
    result.doubtful.push_back(degree);
    if (interval) {
      constexpr double kNoConclusion = 2;  // the high end is so many times the low one
      result.is_open = result.is_open || (*interval)[1] > kNoConclusion * (*interval)[0];
      reasons.push_back(fmt::format("{} of {} is between {:.2f} and {:.2f}",
                                    reasons.empty() ? "the efficiency" : "that", record->point.layout.title(),
                                    (*interval)[0], (*interval)[1]));
    } else if (has_scale) {
      unknown.push_back(record->point.layout.title());
    }
  }
  if (result.doubtful.empty()) return;
  result.doubt = join_words(reasons);
  if (unknown.empty()) return;
  if (!reasons.empty()) result.doubt += "; ";
  result.doubt += "there are too few independent samples for an interval of " + join_words(unknown);
}

// Degrees under the largest useful one that are not useful: people who read "up to" have to know.
void find_gaps(const Series& series, double efficiency_floor, UsefulDegree& result) {
  std::vector<std::string> below;
  for (const Record* record : series) {
    const std::int64_t degree = record->point.layout.ranks();
    if (degree >= result.degree.value_or(0) || !is_timed(*record)) continue;
    const double efficiency = record->scaling.efficiency.value_or(0);
    if (efficiency >= efficiency_floor) continue;
    result.below_floor.push_back(degree);
    below.push_back(fmt::format("{} ({:.2f})", record->point.layout.title(), efficiency));
  }
  if (!below.empty())
    result.gap = join_words(below) + (below.size() == 1 ? " is" : " are") + " below the floor";
}

std::string outcome_text(const Record& record) {
  if (record.reason_code == ReasonCode::ranks && record.ranks.world > 0)
    return fmt::format("not run: {} available",
                       counted(static_cast<std::size_t>(record.ranks.world), "rank"));
  return fmt::format("{}: {}", record.status == Status::skipped ? "not run" : "failed",
                     record.reason.value_or("no reason recorded"));
}

void find_degrees(const Series& series, double efficiency_floor, UsefulDegree& result) {
  for (const Record* record : series) {
    if (is_timed(*record) && record->scaling.efficiency.value_or(-1) >= efficiency_floor) {
      result.degree = record->point.layout.ranks();
      result.degree_name = record->point.layout.title();
      result.efficiency = record->scaling.efficiency;
    }
  }
  const auto next = std::find_if(series.begin(), series.end(), [&](const Record* record) {
    return record->point.layout.ranks() > result.degree.value_or(0);
  });
  if (next == series.end()) return;
  const Record& stopped = **next;
  result.next = stopped.point.layout.ranks();
  result.next_name = stopped.point.layout.title();
  if (!is_timed(stopped)) {
    result.stop = stopped.reason_code ? stop_of(*stopped.reason_code) : Stop::error;
    result.next_outcome = outcome_text(stopped);
    return;
  }
  result.next_efficiency = stopped.scaling.efficiency;
  result.next_step_s = stopped.time->step.summary.median;
  const Excess excess = largest_excess(*series.front(), stopped);
  result.stop = excess.stop;
  result.stop_share = excess.over_step;
  result.stop_part_s = ((*stopped.time).*excess.part).summary.median;
  result.stop_ideal_s = ((*series.front()->time).*excess.part).summary.median /
                        static_cast<double>(stopped.point.layout.ranks());
}

// Of the cases that the verdict rests on, the next degree first.
void find_machine(const Series& series, UsefulDegree& result) {
  for (const auto degree : {result.next, result.degree, result.fastest, std::optional<std::int64_t>(1)}) {
    for (const Record* record : series) {
      const bool counts = record->point.layout.ranks() == degree && is_timed(*record);
      if (counts && result.finding.empty()) result.finding = machine_finding(*record);
    }
  }
}

// The shortest step, and those that its interval does not tell from it.
void find_fastest(const Series& series, UsefulDegree& result) {
  const Record* fastest = nullptr;
  for (const Record* record : series) {
    if (!is_timed(*record)) continue;
    if (fastest == nullptr || record->time->step.summary.median < fastest->time->step.summary.median)
      fastest = record;
  }
  if (fastest == nullptr) return;
  const Summary& step = fastest->time->step.summary;
  result.fastest = fastest->point.layout.ranks();
  result.fastest_name = fastest->point.layout.title();
  result.fastest_step_s = step.median;
  result.fastest_speedup = fastest->scaling.speedup;
  for (const Record* record : series) {
    if (record == fastest || !is_timed(*record)) continue;
    const Summary& other = record->time->step.summary;
    const double least = other.ci95 ? (*other.ci95)[0] : other.median;
    const double most = step.ci95 ? (*step.ci95)[1] : step.median;
    if (least <= most)
      result.rivals.push_back(
          fmt::format("{} with {}", record->point.layout.title(), format_seconds(other.median)));
  }
}

std::string say_no_baseline(const Series& series) {
  std::string text = "efficiency cannot be stated without a tp_degree 1 case";
  const Record& first = *series.front();
  if (first.point.layout.ranks() == 1) text += fmt::format(" that is ok (it is {})", name_of(first.status));
  return text;
}

}  // namespace

std::vector<UsefulDegree> useful_degrees(std::span<const Record> records, double efficiency_floor) {
  std::vector<const Record*> sorted = in_order(records);
  // Stages are no degree: report/best_split.hpp compares them.
  std::erase_if(sorted, [](const Record* record) { return record->point.layout.pp > 1; });
  constexpr std::string_view kUnsaid[] = {"tp_degree"};
  const CaseNames names(cases_of(sorted), kUnsaid);
  std::vector<UsefulDegree> results;
  for (const Series& series : series_of(sorted)) {
    UsefulDegree result;
    result.series = series_id(*series.front());
    result.name = names.name(series.front()->point);
    result.floor = efficiency_floor;
    result.is_alone = series.size() == 1;
    find_fastest(series, result);
    if (series.front()->point.layout.ranks() == 1 && is_timed(*series.front())) {
      find_degrees(series, efficiency_floor, result);
      find_gaps(series, efficiency_floor, result);
      find_doubts(series, efficiency_floor, result);
      find_machine(series, result);
    } else {
      result.no_baseline = say_no_baseline(series);
    }
    const UsefulDegree* one = &result;
    result.sentence = result.name + ": " + say_verdict({&one, 1});
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace tpbench
