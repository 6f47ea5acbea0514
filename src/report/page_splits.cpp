// Work that was split over TP and PP: which split is best.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "report/best_split.hpp"
#include "report/page_series.hpp"

namespace tpbench {
namespace {

double median_step(const Record& record) { return record.time->step.summary.median; }

// Of one work in one folder, the soonest case of each layout.
using BestOfLayout = std::map<Layout, const Record*>;

struct SplitWork {
  std::string name;
  std::vector<BestOfLayout> in;  // by folder
};

std::map<std::string, SplitWork> split_works(std::span<const NamedSet> sets) {
  std::map<std::string, SplitWork> works;
  std::vector<Case> cases;
  for (const NamedSet& named : sets) {
    for (const Record& record : named.set->records) cases.push_back(record.point);
  }
  const CaseNames names = work_names(cases);
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (const Record& record : sets[i].set->records) {
      if (!is_timed(record) || !record.point.workload_row().uses.stages) continue;
      SplitWork& work = works[work_id(record.point)];
      work.in.resize(sets.size());
      work.name = names.name(record.point);
      const Record*& best = work.in[i][record.point.layout];
      if (best == nullptr || median_step(record) < median_step(*best)) best = &record;
    }
  }
  std::erase_if(works, [](const auto& entry) {
    return std::none_of(entry.second.in.begin(), entry.second.in.end(), [](const BestOfLayout& layouts) {
      return std::any_of(layouts.begin(), layouts.end(),
                         [](const auto& layout) { return layout.first.pp > 1; });
    });
  });
  return works;
}

Figure split_figure(const SplitWork& work, std::span<const NamedSet> sets) {
  LineChart chart = {.x = {"ranks", Kind::plain, true}, .y = {"step", Kind::seconds, true}};
  std::set<double> ranks;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    std::map<std::int64_t, Curve> by_stages;
    for (const auto& [layout, record] : work.in[i]) {
      const auto count = static_cast<double>(layout.ranks());
      ranks.insert(count);
      Curve& curve = by_stages[layout.pp];
      curve.name = fmt::format("{}PP {}", sets.size() > 1 ? sets[i].name + ", " : "", layout.pp);
      curve.marks.push_back({count, median_step(*record), record->time->step.summary.ci95});
    }
    for (auto& [stages, curve] : by_stages) {
      curve.look = chart.curves.size();
      chart.curves.push_back(std::move(curve));
    }
  }
  chart.x.ticks = {ranks.begin(), ranks.end()};
  return {"Step over ranks, by stages",
          "The soonest case of each layout, whatever its schedule and microbatches, with 95 % intervals.",
          std::move(chart)};
}

// TP across, PP down.
void add_matrix(const BestOfLayout& layouts, const std::string& folder, const std::set<std::int64_t>& degrees,
                Section& section) {
  std::map<std::int64_t, std::map<std::int64_t, const Record*>> by_stages;
  for (const auto& [layout, record] : layouts) by_stages[layout.pp][layout.tp] = record;
  for (const auto& [stages, by_degree] : by_stages) {
    Section::Row row;
    if (!folder.empty()) row.cells.emplace_back(folder);
    row.cells.emplace_back(fmt::format("PP {}", stages));
    for (const std::int64_t degree : degrees) {
      const auto found = by_degree.find(degree);
      row.cells.push_back(found == by_degree.end() ? Value()
                                                   : Value(median_step(*found->second), Kind::seconds));
    }
    section.rows.push_back(std::move(row));
  }
}

Section work_section(const SplitWork& work, std::span<const NamedSet> sets) {
  Section section;
  section.title = work.name;
  section.is_below = true;
  section.figures = {split_figure(work, sets)};
  std::set<std::int64_t> degrees;
  for (const BestOfLayout& layouts : work.in) {
    for (const auto& [layout, record] : layouts) degrees.insert(layout.tp);
  }
  if (sets.size() > 1) section.columns.push_back({"folder", Align::left});
  section.columns.push_back({"step", Align::left});
  for (const std::int64_t degree : degrees)
    section.columns.push_back({fmt::format("TP {}", degree), Align::right});
  for (std::size_t i = 0; i < sets.size(); ++i)
    add_matrix(work.in[i], sets.size() > 1 ? sets[i].name : "", degrees, section);
  return section;
}

}  // namespace

std::vector<Section> split_sections(std::span<const NamedSet> sets) {
  const std::map<std::string, SplitWork> works = split_works(sets);
  if (works.empty()) return {};
  Section head;
  head.title = "TP x PP";
  for (const NamedSet& named : sets) {
    for (const std::string& sentence : best_splits(in_order(named.set->records)))
      head.sentences.push_back((sets.size() > 1 ? named.name + ": " : "") + sentence);
  }
  std::vector<Section> sections = {std::move(head)};
  for (const auto& [id, work] : works) sections.push_back(work_section(work, sets));
  return sections;
}

}  // namespace tpbench
