// Scaling of each workload and shape: step, parts and memory over the degree.
#include "report/page_series.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "report/compare_render.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

double ranks_of(const Record& record) { return static_cast<double>(record.point.layout.ranks()); }
double step_s_of(const Record& record) { return record.time->step.summary.median; }

std::vector<const Record*> timed(const PageSeries::InSet& in) {
  std::vector<const Record*> records;
  std::copy_if(in.records.begin(), in.records.end(), std::back_inserter(records),
               [](const Record* record) { return is_timed(*record); });
  return records;
}

// The first folder's one-rank case, which ideal lines start from.
const Record* baseline_of(const PageSeries& series) {
  for (const PageSeries::InSet& in : series.in) {
    for (const Record* record : timed(in)) {
      if (record->point.layout.ranks() == 1) return record;
    }
  }
  return nullptr;
}

std::vector<double> degrees_of(const PageSeries& series) {
  std::set<double> degrees;
  for (const PageSeries::InSet& in : series.in) {
    for (const Record* record : timed(in)) degrees.insert(ranks_of(*record));
  }
  return {degrees.begin(), degrees.end()};
}

std::string step_words(const PageSeries& series, std::span<const NamedSet> sets) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < sets.size() && i < 3; ++i) {
    std::vector<std::string> steps;
    for (const Record* record : timed(series.in[i])) {
      const auto efficiency = record->scaling.efficiency;
      const bool says = efficiency && record->point.layout.ranks() > 1;
      steps.push_back(fmt::format("{} {}{}", record->point.layout.title(), format_seconds(step_s_of(*record)),
                                  says ? fmt::format(" (efficiency {:.2f})", *efficiency) : ""));
    }
    if (!steps.empty()) parts.push_back((sets.size() > 1 ? sets[i].name + ": " : "") + join_words(steps));
  }
  return join_words(parts, "; ") + ". With 95 % intervals.";
}

std::vector<Curve> step_curves(const PageSeries& series, std::span<const NamedSet> sets) {
  std::vector<Curve> curves;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    Curve curve = {.name = sets[i].name, .look = i};
    for (const Record* record : timed(series.in[i]))
      curve.marks.push_back({ranks_of(*record), step_s_of(*record), record->time->step.summary.ci95});
    if (!curve.marks.empty()) curves.push_back(std::move(curve));
  }
  return curves;
}

Figure step_figure(const PageSeries& series, std::span<const NamedSet> sets) {
  const std::vector<double> degrees = degrees_of(series);
  LineChart chart = {.x = {"TP", Kind::plain, true, degrees}, .y = {"step", Kind::seconds, true}};
  if (const Record* baseline = baseline_of(series); baseline != nullptr && degrees.size() > 1) {
    Curve ideal = {"ideal: TP 1 divided by TP", {}, Curve::Line::dashed, false, {}};
    for (const double degree : degrees) ideal.marks.push_back({degree, step_s_of(*baseline) / degree});
    chart.curves.push_back(std::move(ideal));
  }
  for (Curve& curve : step_curves(series, sets)) chart.curves.push_back(std::move(curve));
  return {"Step over TP degree", step_words(series, sets), std::move(chart)};
}

constexpr struct {
  const char* name;
  Quantity TimeResult::*member;
} kStackedParts[] = {{"compute", &TimeResult::compute},
                     {"communication", &TimeResult::communication},
                     {"other", &TimeResult::other}};

std::string parts_words(const PageSeries& series, std::span<const NamedSet> sets) {
  std::string text;
  for (std::size_t i = 0; i < sets.size() && sets.size() > 1; ++i)
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", folder_letter(i), sets[i].name);
  if (!text.empty()) text += ". ";
  text += "Time of all ranks together; what stands above the dashed line is lost.";
  const Record* baseline = baseline_of(series);
  if (baseline == nullptr) return text;
  const auto records = timed(series.in.front());
  if (records.empty() || records.back()->point.layout.ranks() == 1) return text;
  const Record& last = *records.back();
  return text + fmt::format(" {}{}: {} against {}.", sets.size() > 1 ? sets[0].name + ", " : "",
                            last.point.layout.title(), format_seconds(step_s_of(last) * ranks_of(last)),
                            format_seconds(step_s_of(*baseline)));
}

Figure parts_figure(const PageSeries& series, std::span<const NamedSet> sets) {
  BarChart chart = {.y = {"time x ranks", Kind::seconds}};
  for (const auto& part : kStackedParts) chart.parts.emplace_back(part.name);
  const Record* baseline = baseline_of(series);
  std::map<Layout, std::vector<std::pair<std::size_t, const Record*>>> by_layout;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (const Record* record : timed(series.in[i])) by_layout[record->point.layout].emplace_back(i, record);
  }
  for (const auto& [layout, records] : by_layout) {
    for (const auto& [place, record] : records) {
      BarChart::Bar bar = {.label = sets.size() > 1 ? folder_letter(place) : layout.title(),
                           .group = sets.size() > 1 ? layout.title() : ""};
      for (const auto& part : kStackedParts) {
        const Quantity& quantity = (*record->time).*part.member;
        bar.parts.push_back(is_known(quantity) ? std::max(0.0, quantity.summary.median * ranks_of(*record))
                                               : 0);
      }
      if (baseline != nullptr) bar.ideal = step_s_of(*baseline);
      chart.bars.push_back(std::move(bar));
    }
  }
  if (baseline != nullptr) chart.ideal = "ideal: as TP 1";
  return {"Where the time goes", parts_words(series, sets), std::move(chart)};
}

// Memory is that of the program: one folder speaks for all.
std::optional<Figure> memory_figure(const PageSeries& series) {
  BarChart chart = {.y = {"memory per rank", Kind::bytes}};
  for (const auto& [category, name] : EnumNames<Category>::table) chart.parts.emplace_back(name);
  std::vector<std::string> words;
  for (const PageSeries::InSet& in : series.in) {
    for (const Record* record : timed(in)) {
      if (!record->memory || !record->memory->by_category) continue;
      BarChart::Bar bar = {.label = record->point.layout.title()};
      for (const auto& [category, name] : EnumNames<Category>::table)
        bar.parts.push_back(static_cast<double>((*record->memory->by_category)[category]));
      bar.ideal = static_cast<double>(record->memory->unsharded_peak) / ranks_of(*record);
      chart.bars.push_back(std::move(bar));
      words.push_back(fmt::format("{} {}", record->point.layout.title(),
                                  format_bytes(static_cast<double>(record->memory->peak.value_or(0)))));
    }
    if (!chart.bars.empty()) break;
  }
  if (chart.bars.empty()) return std::nullopt;
  chart.ideal = "ideal: unsharded divided by TP";
  return Figure{"Memory per rank", "Counted at its peak: " + join_words(words) + ".", std::move(chart)};
}

// Names as in the table of a run.
Section numbers(const PageSeries& series, std::span<const NamedSet> sets) {
  Section section;
  const bool several = sets.size() > 1;
  if (several) section.columns.push_back({"folder", Align::left});
  for (const char* heading :
       {"layout", "step", "95 %", "speed-up", "eff", "compute", "comm", "other", "mem/rank"})
    section.columns.push_back({heading, std::string_view(heading) == "layout" ? Align::left : Align::right});
  section.rest_from = several ? 2 : 1;
  const auto time = [](const Quantity& quantity) {
    return is_known(quantity) ? Value(quantity.summary.median, Kind::seconds) : Value();
  };
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (const Record* record : series.in[i].records) {
      Section::Row row;
      if (several) row.cells.emplace_back(sets[i].name);
      row.cells.emplace_back(record->point.layout.title());
      if (!is_timed(*record)) {
        row.rest =
            fmt::format("{}: {}", name_of(record->status), record->reason.value_or("no reason recorded"));
        section.rows.push_back(std::move(row));
        continue;
      }
      const auto& ci95 = record->time->step.summary.ci95;
      row.cells.emplace_back(step_s_of(*record), Kind::seconds);
      row.cells.emplace_back(
          ci95 ? Value(fmt::format("{}..{}", format_seconds((*ci95)[0]), format_seconds((*ci95)[1])))
               : Value());
      row.cells.emplace_back(record->scaling.speedup, Kind::hundredths);
      row.cells.emplace_back(record->scaling.efficiency, Kind::hundredths);
      row.cells.push_back(time(record->time->compute));
      row.cells.push_back(time(record->time->communication));
      row.cells.push_back(time(record->time->other));
      row.cells.emplace_back(record->memory ? Value(record->memory->peak, Kind::bytes) : Value());
      section.rows.push_back(std::move(row));
    }
  }
  return section;
}

}  // namespace

std::vector<NamedSet> name_sets(std::span<const ResultSet> sets) {
  std::map<std::string, std::size_t> labels;
  for (const ResultSet& set : sets) ++labels[set.label];
  std::vector<NamedSet> named;
  for (const ResultSet& set : sets) {
    const bool is_its_own = !set.label.empty() && labels[set.label] == 1;
    named.push_back(
        {&set, is_its_own ? set.label : set.path, useful_degrees(set.records, set.efficiency_floor)});
  }
  return named;
}

std::vector<PageSeries> page_series(std::span<const NamedSet> sets) {
  std::vector<PageSeries> all;
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (const UsefulDegree& verdict : sets[i].verdicts) {
      const auto [place, is_new] = places.try_emplace(verdict.series, all.size());
      if (is_new) all.push_back({verdict.series, verdict.name, std::vector<PageSeries::InSet>(sets.size())});
      all[place->second].in[i].verdict = &verdict;
    }
    for (const Record& record : sets[i].set->records) {
      const auto place = places.find(series_id(record));
      if (place != places.end() && record.point.layout.pp == 1)
        all[place->second].in[i].records.push_back(&record);
    }
  }
  for (PageSeries& series : all) {
    for (PageSeries::InSet& in : series.in) {
      std::stable_sort(in.records.begin(), in.records.end(),
                       [](const Record* a, const Record* b) { return a->point.layout < b->point.layout; });
    }
  }
  return all;
}

Section series_section(const PageSeries& series, std::span<const NamedSet> sets) {
  Section section = numbers(series, sets);
  section.title = series.name;
  section.is_below = section.is_folded = true;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const UsefulDegree* verdict = series.in[i].verdict;
    if (verdict == nullptr) continue;
    const std::string words = say_verdict({&verdict, 1});
    section.sentences.push_back(sets.size() > 1 ? sets[i].name + ": " + words : words);
  }
  if (degrees_of(series).empty()) {
    section.is_folded = false;
    return section;
  }
  section.figures = {step_figure(series, sets), parts_figure(series, sets)};
  if (auto memory = memory_figure(series)) section.figures.push_back(std::move(*memory));
  return section;
}

}  // namespace tpbench
