// What each rank did in one step: compute, waiting for the last one to come, the transfer itself.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.hpp"
#include "base/units.hpp"
#include "report/page_series.hpp"
#include "report/step_meetings.hpp"
#include "result/folder.hpp"

namespace tpbench {
namespace {

enum Part : std::size_t { compute, transfer, waiting };

LaneChart::Span span_of(double start, double end, std::size_t kind, const std::string& what) {
  return {start, end, kind,
          fmt::format("{}: {} from {}", what, format_seconds(end - start), format_seconds(start))};
}

LaneChart lanes_of(const StepTrace& trace) {
  std::map<const TraceEvent*, double> ready_s;  // of what is waited for
  for (const StepMeeting& meeting : meetings_of(trace)) {
    for (const StepMeeting::Part& part : meeting.parts) ready_s[part.event] = meeting.ready_s();
  }
  LaneChart chart = {.kinds = {"compute", "communication", "waiting for another rank"}};
  for (const TraceRank& rank : trace.ranks) {
    LaneChart::Lane lane = {.label = fmt::format("rank {}, {}", rank.rank, rank.host)};
    for (const TraceEvent& event : rank.events) {
      if (is_compute(event)) {
        lane.spans.push_back(
            span_of(event.start_s, event.end_s, compute, fmt::format("rank {}, compute", rank.rank)));
        continue;
      }
      const auto ready = ready_s.find(&event);
      const double came =
          trace.is_aligned && ready != ready_s.end() ? std::min(event.end_s, ready->second) : event.start_s;
      const std::string who = fmt::format("rank {}, {}", rank.rank, event.kind);
      if (came > event.start_s)
        lane.spans.push_back(span_of(event.start_s, came, waiting, who + ", waiting"));
      lane.spans.push_back(span_of(std::max(came, event.start_s), event.end_s, transfer, who));
    }
    chart.lanes.push_back(std::move(lane));
  }
  return chart;
}

bool asks_for_ranks(const Record& record) {
  return std::any_of(record.warnings.begin(), record.warnings.end(), [](const Warning& warning) {
    return warning.code == "imbalance" || warning.code == "slow_rank";
  });
}

Figure timeline_figure(const NamedSet& named, const Record& record, const StepTrace& trace, bool several) {
  std::string words =
      fmt::format("The sample nearest to the median: {} of all ranks", format_seconds(trace.step_s));
  if (trace.clock_error_s > 0)
    words += fmt::format("; clocks of hosts are known to {}", format_seconds(trace.clock_error_s));
  if (!trace.is_aligned) words += "; clocks could not be aligned: each rank's times are since its own start";
  if (trace.ranks_left_out > 0) words += fmt::format("; {} more ranks are not drawn", trace.ranks_left_out);
  for (const Warning& warning : record.warnings) {
    if (warning.code == "imbalance" || warning.code == "slow_rank")
      words += fmt::format("; {}: {}", warning.code, warning.message);
  }
  return {(several ? named.name + ": " : "") + record.id, words + ".", lanes_of(trace)};
}

}  // namespace

Section timelines_section(std::span<const NamedSet> sets) {
  constexpr std::size_t kMost = 4;
  std::vector<std::pair<const NamedSet*, const Record*>> wanted;
  for (const NamedSet& named : sets) {
    for (const Record& record : named.set->records) {
      if (is_timed(record) && record.point.layout.ranks() > 1) wanted.emplace_back(&named, &record);
    }
  }
  std::stable_sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) {
    const auto key = [](const Record& r) {
      return std::tuple(asks_for_ranks(r), r.point.layout.ranks(), r.time->step.summary.median);
    };
    return key(*a.second) > key(*b.second);
  });
  Section section;
  for (const auto& [named, record] : wanted) {
    if (section.figures.size() == kMost) break;
    const auto trace = read_trace(named->set->path, record->id);
    if (trace) section.figures.push_back(timeline_figure(*named, *record, *trace, sets.size() > 1));
  }
  if (section.figures.empty()) return section;
  section.title = "One step, rank by rank";
  section.sentences = {
      "tpbench export DIR --to trace writes these timelines for Perfetto, where one can zoom in."};
  section.columns = {{"case", Align::left},       {"rank", Align::right},  {"host", Align::left},
                     {"compute", Align::right},   {"wait", Align::right},  {"came last", Align::right},
                     {"preempted", Align::right}, {"steal", Align::right}, {"throttled", Align::right}};
  section.is_folded = true;
  std::size_t shown = 0;
  for (const auto& [named, record] : wanted) {
    if (!record->rank_results || shown++ == kMost) continue;
    for (const RankResult& rank : record->rank_results->listed) {
      std::int64_t last = 0;
      for (const auto& [collective, count] : rank.last_arrivals) last += count;
      section.rows.push_back({{record->id, rank.rank, rank.host, Value(rank.compute_s, Kind::seconds),
                               Value(rank.wait_s, Kind::seconds), last, rank.preemptions,
                               Value(rank.steal_s, Kind::seconds), Value(rank.throttled_s, Kind::seconds)}});
    }
  }
  return section;
}

}  // namespace tpbench
