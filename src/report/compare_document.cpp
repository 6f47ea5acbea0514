// What people read of a comparison: the same sections for a terminal and for a page.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "report/common_text.hpp"
#include "report/compare_render.hpp"
#include "report/document.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

using Align = TextTable::Align;
using Row = std::vector<std::string>;

constexpr std::size_t kLongestValue = 60;  // of an environment's value in a table

// ---- cells

// As many digits as a difference needs: 1.02, 5.31, 12.4, 173.
std::string ratio_text(double ratio) {
  return ratio < 9.995   ? fmt::format("{:.2f}", ratio)
         : ratio < 99.95 ? fmt::format("{:.1f}", ratio)
                         : fmt::format("{:.0f}", ratio);
}

std::string verdict_text(const Cell& cell) {
  switch (cell.verdict) {
    case Verdict::slower:
      return "slower";
    case Verdict::faster:
      return "faster";
    case Verdict::within_noise:
      return hides_difference(cell) ? "noise " + format_percent(*cell.noise) : "";
    case Verdict::not_judged:
      return cell.ratio ? "?" : "";
  }
  return "";
}

// A time of 0 is a part that the case does not have.
std::string time_text(double seconds) { return seconds == 0 ? "-" : format_seconds(seconds); }

Row cell_texts(const Cell& cell, bool with_interval) {
  Row row = {time_text(cell.base_s), time_text(cell.other_s), cell.ratio ? ratio_text(*cell.ratio) : "-"};
  if (with_interval) {
    row.push_back(cell.ci95 ? fmt::format("{}..{}", ratio_text((*cell.ci95)[0]), ratio_text((*cell.ci95)[1]))
                            : "-");
  }
  row.push_back(verdict_text(cell));
  return row;
}

void append(Row& row, Row more) { row.insert(row.end(), more.begin(), more.end()); }

// ---- sections

struct Names {
  std::string base, other;  ///< letters
};

std::string folder_sentence(const std::string& letter, const ResultSet& set) {
  const auto ok = std::count_if(set.records.begin(), set.records.end(), is_timed);
  std::string text = fmt::format("{}: {}", letter, set.path);
  if (!set.label.empty()) text += fmt::format(", label {}", set.label);
  text += fmt::format("; {} of {} cases ok", ok, set.records.size());
  if (const auto noise = set.noise()) text += fmt::format("; noise {:.2f}", *noise);
  return text;
}

// The cases as asked: threads that a machine chose are no axis.
std::vector<Case> asked_cases(const Comparison& comparison) {
  std::vector<Case> cases;
  for (const ComparedCase& compared : comparison.cases) cases.push_back(asked_case(*compared.base));
  return cases;
}

Row axis_texts(const std::vector<const CaseField*>& axes, const Case& point) {
  Row row;
  for (const CaseField* axis : axes) row.push_back(field_text(*axis, point));
  return row;
}

void add_columns(Section& section, const ComparedQuantity& quantity, const Names& names, bool with_interval) {
  const std::string title(quantity.title);
  section.columns.push_back({title + ' ' + names.base, Align::right});
  section.columns.push_back({names.other, Align::right});
  section.columns.push_back({names.other + '/' + names.base, Align::right});
  if (with_interval) section.columns.push_back({"95 %", Align::left});
  section.columns.push_back({"", Align::left});
}

std::vector<std::string> table_notes(const Comparison& comparison, const Names& names) {
  const bool epochs =
      std::any_of(comparison.cases.begin(), comparison.cases.end(),
                  [](const ComparedCase& compared) { return compared.cells[0].basis == Basis::epochs; });
  std::vector<std::string> notes = {fmt::format(
      "Medians; {0}/{1} above 1: {0} takes longer. \"slower\" and \"faster\" stand where the difference is "
      "larger "
      "than the noise of both and beyond chance: {2}, adjusted for the number of cells (Benjamini-Hochberg, "
      "at "
      "most {3:.0f} % of the marks expected to be wrong). \"noise 80 %\": beyond chance, and hidden by noise "
      "of "
      "that size. No word: no difference beyond chance; the interval is of this cell alone. docs/compare.md "
      "explains.",
      names.other, names.base,
      epochs ? "tested over the medians of epochs" : "tested over blocks of neighbouring samples",
      kFalseDiscoveryRate * 100)};
  for (const std::string& remark : comparison.remarks) notes.push_back(remark + '.');
  return notes;
}

Section cases_section(const Comparison& comparison, const Names& names) {
  Section section;
  if (comparison.cases.empty()) {
    section.sentences = {"No case is ok in both."};
    return section;
  }
  std::vector<const Record*> records;
  for (const ComparedCase& compared : comparison.cases) records.push_back(compared.base);
  const std::vector<Case> cases = asked_cases(comparison);
  const std::vector<const CaseField*> axes = varying_fields(cases);
  for (const CaseField* axis : axes) {
    section.columns.push_back(
        {std::string(axis->title), axis->get(cases.front()).is_number() ? Align::right : Align::left});
  }
  for (std::size_t i = 0; i < kComparedQuantities.size(); ++i)
    add_columns(section, kComparedQuantities[i], names, i == 0);
  for (std::size_t row = 0; row < cases.size(); ++row) {
    Row cells = axis_texts(axes, cases[row]);
    for (std::size_t i = 0; i < kComparedQuantities.size(); ++i)
      append(cells, cell_texts(comparison.cases[row].cells[i], i == 0));
    section.rows.push_back(std::move(cells));
  }
  section.notes = table_notes(comparison, names);
  return section;
}

Section summary_section(const Comparison& comparison, const Names& names) {
  Section section;
  section.title = fmt::format("{} against {}, all cases", names.other, names.base);
  section.columns = {{"", Align::left},           {"geometric mean", Align::right},
                     {"ratios", Align::right},    {"slower", Align::right},
                     {"faster", Align::right},    {"within noise", Align::right},
                     {"not judged", Align::right}};
  for (std::size_t i = 0; i < comparison.summaries.size(); ++i) {
    const QuantitySummary& summary = comparison.summaries[i];
    const std::size_t marked = summary.slower + summary.faster;
    section.rows.push_back({std::string(kComparedQuantities[i].name),
                            summary.geometric_mean ? ratio_text(*summary.geometric_mean) : "-",
                            std::to_string(summary.ratios), std::to_string(summary.slower),
                            std::to_string(summary.faster), std::to_string(summary.judged - marked),
                            std::to_string(comparison.cases.size() - summary.judged)});
  }
  return section;
}

std::string outcome_text(const Record* record) {
  if (record == nullptr) return "absent";
  return record->reason ? fmt::format("{}: {}", name_of(record->status), *record->reason)
                        : std::string(name_of(record->status));
}

std::string why_not_compared(const UnmatchedCase& pair, const Names& names) {
  const std::string base = outcome_text(pair.base), other = outcome_text(pair.other);
  if (base == other) return fmt::format("both {}", base);
  return fmt::format("{} {}; {} {}", names.base, base, names.other, other);
}

Section unmatched_section(const Comparison& comparison, const Names& names) {
  Section section;
  if (comparison.unmatched.empty()) return section;
  section.title = "Not compared";
  section.columns = {{"case", Align::left}, {"", Align::left}};
  // Many cases for one reason are one row, where the first of them would stand.
  constexpr std::size_t kFew = 4;
  std::map<std::string, std::size_t> counts;
  for (const UnmatchedCase& pair : comparison.unmatched) ++counts[why_not_compared(pair, names)];
  std::set<std::string> told;
  for (const UnmatchedCase& pair : comparison.unmatched) {
    const Record& any = pair.base != nullptr ? *pair.base : *pair.other;
    const std::string why = why_not_compared(pair, names);
    if (counts[why] <= kFew)
      section.rows.push_back({any.id, why});
    else if (told.insert(why).second)
      section.rows.push_back({counted(counts[why], "case"), why});
  }
  return section;
}

std::string shortened(const std::string& value) {
  return value.size() <= kLongestValue ? value : value.substr(0, kLongestValue - 3) + "...";
}

Section environment_section(const Comparison& comparison, const Names& names) {
  Section section;
  const bool both = !comparison.base->environments.empty() && !comparison.other->environments.empty();
  section.title = "What differs in the environments";
  if (!both)
    section.sentences = {"One of the folders has no environment.json."};
  else if (comparison.environment.empty())
    section.sentences = {"Nothing."};
  section.columns = {{"key", Align::left}, {names.base, Align::left}, {names.other, Align::left}};
  for (const JsonDifference& difference : comparison.environment) {
    section.rows.push_back(
        {difference.pointer.substr(1), shortened(difference.first), shortened(difference.second)});
  }
  return section;
}

Section useful_section(const Comparison& comparison, const Names& names) {
  Section section;
  if (comparison.series.empty()) return section;
  section.title = fmt::format("Useful degree (efficiency at least {:.2f} in {}, {:.2f} in {})",
                              comparison.base->efficiency_floor, names.base,
                              comparison.other->efficiency_floor, names.other);
  section.columns = {
      {"workload and shape", Align::left}, {names.base, Align::right}, {"eff", Align::right},
      {names.other, Align::right},         {"eff", Align::right},      {"what stops the next", Align::left}};
  const auto degree = [](const std::optional<UsefulDegree>& useful) {
    if (!useful || !useful->degree) return std::string("-");
    return fmt::format("TP {}{}", *useful->degree, useful->doubtful.empty() ? "" : "?");
  };
  const auto efficiency = [](const std::optional<UsefulDegree>& useful) {
    return useful && useful->efficiency ? fmt::format("{:.2f}", *useful->efficiency) : std::string("-");
  };
  const auto stop = [](const std::string& letter, const std::optional<UsefulDegree>& useful) {
    if (!useful) return letter + ": not run";
    if (useful->stop) return fmt::format("{}: {} at TP {}", letter, name_of(*useful->stop), *useful->next);
    return fmt::format("{}: {}", letter, useful->degree ? "none tried" : "no TP 1 case that is ok");
  };
  for (const ComparedSeries& series : comparison.series) {
    section.rows.push_back({series.name, degree(series.base), efficiency(series.base), degree(series.other),
                            efficiency(series.other),
                            stop(names.base, series.base) + "; " + stop(names.other, series.other)});
    for (const auto& [letter, useful] : {std::pair(names.base, series.base), std::pair(names.other, series.other)}) {
      if (!useful) continue;
      const std::string place = letter + ", " + series.name + ": ";
      if (!useful->gap.empty()) section.sentences.push_back(place + useful->gap + ".");
      if (!useful->doubtful.empty()) section.sentences.push_back(place + "not certain (?): " + useful->doubt + ".");
    }
  }
  return section;
}

Section head_section(std::span<const Comparison> comparisons) {
  Section section;
  section.title = "Comparison";
  section.sentences.push_back(folder_sentence(folder_letter(0), *comparisons.front().base));
  for (std::size_t i = 0; i < comparisons.size(); ++i)
    section.sentences.push_back(folder_sentence(folder_letter(i + 1), *comparisons[i].other));
  std::vector<const Record*> records;
  for (const ComparedCase& compared : comparisons.front().cases) records.push_back(compared.base);
  if (!records.empty()) section.sentences.push_back(shared_fields(cases_of(records)));
  return section;
}

}  // namespace

std::string compare_document(std::span<const Comparison> comparisons, bool as_markdown) {
  if (comparisons.empty()) return "";
  std::vector<Section> sections = {head_section(comparisons)};
  for (std::size_t i = 0; i < comparisons.size(); ++i) {
    const Names names = {folder_letter(0), folder_letter(i + 1)};
    for (const auto make :
         {cases_section, summary_section, unmatched_section, environment_section, useful_section}) {
      Section section = make(comparisons[i], names);
      const bool is_empty = section.sentences.empty() && section.rows.empty();
      if (!is_empty) sections.push_back(std::move(section));
    }
  }
  return as_markdown ? to_markdown(sections) : to_text(sections);
}

}  // namespace tpbench
