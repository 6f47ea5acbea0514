#include "report/best_split.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/text.hpp"
#include "base/units.hpp"
#include "report/useful_degree.hpp"
#include "report/value.hpp"

namespace tpbench {
namespace {

using Candidates = std::vector<const Record*>;

const Summary& step_of(const Record& record) { return record.time->step.summary; }

// What a step is: its largest part, and the next where that is worth a word.
std::string parts_text(const Record& record) {
  const TimeResult& time = *record.time;
  const bool has_stages = record.point.layout.pp > 1;
  const auto share = [&](const Quantity& part) {
    return is_known(part) ? part.summary.median / step_of(record).median : 0.0;
  };
  std::vector<std::pair<double, const char*>> parts = {
      {share(time.compute), "compute"},
      {share(time.communication), "TP collectives"},
      {share(time.boundary), "messages between stages"},
      {share(time.input_wait) + share(time.end_wait), "waiting for other stages"},
      {share(time.other),
       has_stages ? "neither compute, communication nor waiting" : "neither compute nor communication"}};
  if (!is_known(time.communication)) {
    double rest = 1;
    for (const auto& part : parts) rest -= part.first;
    parts.emplace_back(rest, "communication or waiting (the clocks of its hosts do not tell which)");
  }
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  constexpr double kWorthSaying = 0.05;
  std::string text = fmt::format("{} of the step is {}", format_percent(parts[0].first), parts[0].second);
  if (parts[1].first >= kWorthSaying)
    text += fmt::format(", {} {}", format_percent(parts[1].first), parts[1].second);
  return text;
}

// What the intervals leave open, and what they say nothing of.
std::string certainty(const Record& best, const Record& next) {
  const auto& a = step_of(best).ci95;
  const auto& b = step_of(next).ci95;
  std::vector<std::string> doubts;
  if (!a || !b)
    doubts.emplace_back("too few samples for an interval");
  else if ((*a)[1] >= (*b)[0])
    doubts.emplace_back("their 95 % intervals overlap");
  if (best.environment != next.environment) doubts.emplace_back("they ran in different launches");
  for (const Record* record : {&best, &next}) {
    std::string finding = machine_finding(*record);
    const bool is_of_baseline = machine_finding_code(*record) == "baseline_launch";
    const bool is_said = std::find(doubts.begin(), doubts.end(), finding) != doubts.end();
    if (!finding.empty() && !is_of_baseline && !is_said) doubts.push_back(std::move(finding));
  }
  if (doubts.empty()) return "their 95 % intervals are apart";
  return fmt::format("not certain: {}", fmt::join(doubts, "; "));
}

// With their threads where those differ too: they are no part of the work.
std::string name_among(const Candidates& candidates, const Record& record) {
  const auto& threads = record.point.threads_per_rank;
  const bool all_alike = std::all_of(candidates.begin(), candidates.end(), [&](const Record* other) {
    return other->point.threads_per_rank == threads;
  });
  return split_name(record.point) + (all_alike || !threads ? "" : fmt::format(" threads {}", *threads));
}

bool have_layouts(const Candidates& candidates) {
  return std::any_of(candidates.begin(), candidates.end(), [&](const Record* record) {
    return record->point.layout != candidates.front()->point.layout;
  });
}

bool have_stages(const Candidates& candidates) {
  return std::any_of(candidates.begin(), candidates.end(),
                     [](const Record* record) { return record->point.layout.pp > 1; });
}

// The best of them, and the best that has another layout.
std::string sentence_of(const Candidates& candidates, const char* goal, bool as_rate) {
  const auto sooner = [](const Record* a, const Record* b) {
    return step_of(*a).median < step_of(*b).median;
  };
  const Record* best = *std::min_element(candidates.begin(), candidates.end(), sooner);
  const Record* next = nullptr;
  for (const Record* candidate : candidates) {
    if (candidate->point.layout == best->point.layout) continue;
    if (next == nullptr || sooner(candidate, next)) next = candidate;
  }
  const double step_s = step_of(*best).median;
  const double rate = static_cast<double>(best->point.tokens()) / step_s;
  const std::string amount = as_rate ? fmt::format("{} tokens/s{}", text_of({rate, Kind::ratio}),
                                                   best->ranks.replicas > 1 ? " in each group" : "")
                                     : fmt::format("a step of {}", format_seconds(step_s));
  const std::string rival =
      next == nullptr ? ", the only layout that was timed"
                      : fmt::format("; {:.2f} times as fast as {} ({})", step_of(*next).median / step_s,
                                    name_among(candidates, *next), certainty(*best, *next));
  return fmt::format("{}: {}, {}{}; {}", goal, name_among(candidates, *best), amount, rival,
                     parts_text(*best));
}

// Cases that do the same work, of those that may have stages.
struct SplitGroup {
  std::string id;
  std::int64_t ranks = 0, replicas = 0;  ///< of each group, and groups at once; 0: any number of them
  Candidates candidates;
};

// In the order of their first cases.
std::vector<SplitGroup> split_groups(std::span<const Record* const> records, bool of_equal_ranks) {
  std::vector<SplitGroup> groups;
  std::map<std::tuple<std::string, std::int64_t, std::int64_t>, std::size_t> places;
  for (const Record* record : records) {
    if (!is_timed(*record) || !record->point.workload_row().uses.stages) continue;
    SplitGroup group = {work_id(record->point), 0, 0, {}};
    if (of_equal_ranks) {
      group.ranks = record->point.layout.ranks();
      group.replicas = record->ranks.replicas;
    }
    const auto [place, is_new] =
        places.try_emplace(std::tuple(group.id, group.ranks, group.replicas), groups.size());
    if (is_new) groups.push_back(std::move(group));
    groups[place->second].candidates.push_back(record);
  }
  std::erase_if(groups, [](const SplitGroup& group) { return !have_stages(group.candidates); });
  return groups;
}

}  // namespace

std::string work_id(const Case& point) {
  Case whole = point;
  whole.layout = {};
  whole.microbatches = 1;
  whole.placement = Placement::packed;
  whole.threads_per_rank.reset();
  normalise_case(whole);
  return case_id(whole);
}

std::string split_name(const Case& point) {
  std::string name = point.layout.title();
  if (point.schedule) name += fmt::format(" {}", name_of(*point.schedule));
  if (point.microbatches > 1) name += fmt::format(" m {}", point.microbatches);
  if (point.virtual_stages.value_or(1) > 1) name += fmt::format(" v {}", *point.virtual_stages);
  if (point.boundary == Boundary::scattered) name += " scattered";
  if (point.placement == Placement::pp_inside) name += " pp_inside";
  if (point.placement == Placement::spread) name += " spread";
  return name;
}

CaseNames work_names(std::span<const Case> cases) {
  constexpr std::string_view kUnsaid[] = {"tp_degree", "pp_degree", "microbatches", "virtual_stages",
                                          "schedule",  "boundary",  "placement",    "threads_per_rank"};
  return {cases, kUnsaid};
}

std::vector<std::string> best_splits(std::span<const Record* const> records) {
  const CaseNames names = work_names(cases_of(records));
  std::vector<std::string> sentences;
  for (const SplitGroup& group : split_groups(records, /*of_equal_ranks=*/true)) {
    const Candidates& all = group.candidates;
    const std::string work =
        fmt::format("{}, {}{} ranks, ", names.name(all.front()->point),
                    group.replicas > 1 ? fmt::format("{} groups of ", group.replicas) : "", group.ranks);
    if (have_layouts(all)) sentences.push_back(work + sentence_of(all, "throughput", true));
    Candidates undivided;
    std::copy_if(all.begin(), all.end(), std::back_inserter(undivided),
                 [](const Record* record) { return record->point.microbatches == 1; });
    if (have_layouts(undivided)) sentences.push_back(work + sentence_of(undivided, "latency (m 1)", false));
  }
  return sentences;
}

std::vector<std::string> best_layouts(std::span<const Record* const> records) {
  const CaseNames names = work_names(cases_of(records));
  std::vector<std::string> sentences;
  for (const SplitGroup& group : split_groups(records, /*of_equal_ranks=*/false))
    sentences.push_back(names.name(group.candidates.front()->point) + ", any number of ranks, " +
                        sentence_of(group.candidates, "throughput", true));
  return sentences;
}

}  // namespace tpbench
