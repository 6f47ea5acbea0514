// What people read of a comparison: the same sections for a terminal and for a page.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "report/compare_render.hpp"
#include "report/document.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

using Cells = std::vector<Value>;

constexpr std::size_t kLongestValue = 60;  // of an environment's value in a table

// ---- cells

std::string verdict_text(const Cell& cell) {
  switch (cell.verdict) {
    case Verdict::slower:
      return "slower";
    case Verdict::faster:
      return "faster";
    case Verdict::within_noise:
      return hides_difference(cell) ? "noise " + format_percent(*cell.noise) : "";
    case Verdict::machine:
      return "machine";
    case Verdict::not_judged:
      return cell.ratio ? "?" : "";
  }
  return "";
}

// A time of 0 is a part that the case does not have.
Value time_of(double seconds) { return seconds == 0 ? Value() : Value(seconds, Kind::seconds); }

using Interval = std::optional<std::array<double, 2>>;

// Which columns a quantity has beside times and ratio.
struct Shown {
  bool interval = false;  ///< and what could be seen
  bool machine = false;
  RestsOn rests_on = RestsOn::measured;
};

Cells cells_of(const Cell& cell, const Shown& shown) {
  Cells cells = {cell.base_told ? time_of(cell.base_s) : Value(),
                 cell.other_told ? time_of(cell.other_s) : Value(),
                 {cell.ratio, Kind::ratio}};
  if (shown.machine) {
    cells.emplace_back(cell.machine, Kind::ratio);
    cells.emplace_back(cell.rest, Kind::ratio);
  }
  if (shown.interval) {
    cells.emplace_back(
        shown.rests_on == RestsOn::rest || shown.rests_on == RestsOn::cores ? cell.rest_ci95 : cell.ci95,
        Kind::interval);
    cells.emplace_back(cell.detectable, Kind::small_share);
  }
  cells.emplace_back(verdict_text(cell));
  return cells;
}

void append(Cells& cells, const Cells& more) { cells.insert(cells.end(), more.begin(), more.end()); }

// ---- sections

struct Names {
  std::string base, other;  ///< letters
};

std::string folder_sentence(const std::string& letter, const Side& side) {
  const ResultSet& set = side.first();
  const auto ok = std::count_if(set.records.begin(), set.records.end(), is_timed);
  std::string text = fmt::format("{}: {}", letter, set.path);
  if (side.launches.size() > 1) {
    text = fmt::format("{}: {} launches, {} to {}", letter, side.launches.size(), set.path,
                       side.launches.back()->path);
  }
  if (!set.label.empty()) text += fmt::format(", label {}", set.label);
  text += fmt::format("; {} of {} cases ok{}", ok, set.records.size(),
                      side.launches.size() > 1 ? " in the first" : "");
  if (set.noise()) text += fmt::format("; noise {:.2f}", side.noise);
  return text;
}

// The cases as asked: threads that a machine chose are no axis.
std::vector<Case> asked_cases(const Comparison& comparison) {
  std::vector<Case> cases;
  for (const ComparedCase& compared : comparison.cases) cases.push_back(asked_case(*compared.base));
  return cases;
}

void add_columns(Section& section, const ComparedQuantity& quantity, const Names& names, const Shown& shown) {
  const std::string title(quantity.title);
  section.columns.push_back({title + ' ' + names.base, Align::right});
  section.columns.push_back({names.other, Align::right});
  section.columns.push_back({names.other + '/' + names.base, Align::right});
  if (shown.machine) {
    section.columns.push_back({"machine", Align::right});
    section.columns.push_back({"rest", Align::right});
  }
  if (shown.interval) {
    section.columns.push_back({"95 %", Align::left});
    section.columns.push_back({"shows", Align::right});
  }
  section.columns.push_back({"", Align::left});
}

std::string tested_over(const Comparison& comparison) {
  if (comparison.design == Design::rolling)
    return "tested against how the launches of the baseline scatter (Student's t of one new launch)";
  if (comparison.rounds > 1) {
    return comparison.design == Design::alternated ? "tested over the launches in pairs (Student's t)"
                                                   : "tested over the launches (Welch's t)";
  }
  const bool epochs =
      std::any_of(comparison.cases.begin(), comparison.cases.end(),
                  [](const ComparedCase& compared) { return compared.cells[0].basis == Basis::epochs; });
  return epochs ? "tested over the medians of epochs" : "tested over blocks of neighbouring samples";
}

std::string machine_note(const Comparison& comparison, const Names& names) {
  const MachineChange& machine = *comparison.machine;
  std::string note = fmt::format("The reference work took {} times as long in {} as in {}",
                                 text_of({machine.ratio, Kind::ratio}), names.other, names.base);
  if (machine.ci95) note += fmt::format(" ({})", text_of({machine.ci95, Kind::interval}));
  note += ": \"machine\" is its ratio beside the case, \"rest\" what is left of the ratio without it.";
  std::vector<std::string> rest, cores, both;
  for (std::size_t i = 0; i < kComparedQuantities.size(); ++i) {
    const RestsOn rests_on = comparison.summaries[i].rests_on;
    if (rests_on == RestsOn::rest) rest.emplace_back(kComparedQuantities[i].name);
    if (rests_on == RestsOn::cores) cores.emplace_back(kComparedQuantities[i].name);
    if (rests_on == RestsOn::both) both.emplace_back(kComparedQuantities[i].name);
  }
  if (!rest.empty()) note += fmt::format(" Verdicts on {} rest on it, as it varies less.", join_words(rest));
  if (!cores.empty())
    note += fmt::format(
        " Verdicts on {} rest on what is left without the core latency, which goes along with {} from pair "
        "to "
        "pair: there \"machine\" is what it took.",
        join_words(cores), cores.size() == 1 ? "it" : "them");
  if (!both.empty())
    note +=
        " A difference is marked when it shows both ways; \"machine\" in place of a verdict: it goes with "
        "the "
        "machine's change.";
  return note;
}

std::vector<std::string> table_notes(const Comparison& comparison, const Names& names) {
  const bool several = comparison.rounds > 1;
  std::vector<std::string> notes = {fmt::format(
      "Medians{4}; {0}/{1} above 1: {0} takes longer. \"slower\" and \"faster\" stand where the difference "
      "is {5}"
      "beyond chance: {2}, adjusted for the number of cells (Benjamini-Hochberg, at most {3:.0f} % of the "
      "marks "
      "expected to be wrong). {6}No word: no difference beyond chance; the interval is of this cell alone. "
      "\"shows\": the smallest change that would be marked in 9 of 10 such comparisons. docs/compare.md "
      "explains.",
      names.other, names.base, tested_over(comparison), kFalseDiscoveryRate * 100,
      several ? ", over launches their geometric mean" : "",
      several ? "" : "larger than the noise of both and ",
      several ? "" : "\"noise 80 %\": beyond chance, and hidden by noise of that size. ")};
  if (comparison.machine) notes.push_back(machine_note(comparison, names));
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
  for (const CaseField* axis : axes) section.columns.push_back(axis_column(*axis, cases.front()));
  const auto shown = [&](std::size_t i) {
    return Shown{i == 0, i == 0 && comparison.machine.has_value(), comparison.summaries[i].rests_on};
  };
  for (std::size_t i = 0; i < kComparedQuantities.size(); ++i)
    add_columns(section, kComparedQuantities[i], names, shown(i));
  for (std::size_t row = 0; row < cases.size(); ++row) {
    Cells cells;
    for (const CaseField* axis : axes) cells.push_back(axis_value(*axis, cases[row]));
    for (std::size_t i = 0; i < kComparedQuantities.size(); ++i)
      append(cells, cells_of(comparison.cases[row].cells[i], shown(i)));
    section.rows.push_back({std::move(cells)});
  }
  section.notes = table_notes(comparison, names);
  return section;
}

Section summary_section(const Comparison& comparison, const Names& names) {
  Section section;
  section.title = fmt::format("{} against {}, all cases", names.other, names.base);
  section.columns = {{"", Align::left},
                     {"geometric mean", Align::right},
                     {"ratios", Align::right},
                     {"slower", Align::right},
                     {"faster", Align::right},
                     {"within noise", Align::right},
                     {"not judged", Align::right},
                     {"shows in 9 of 10", Align::right}};
  for (std::size_t i = 0; i < comparison.summaries.size(); ++i) {
    const QuantitySummary& summary = comparison.summaries[i];
    const std::size_t marked = summary.slower + summary.faster;  // by the machine: within noise
    section.rows.push_back({{kComparedQuantities[i].name,
                             {summary.geometric_mean, Kind::ratio},
                             summary.ratios,
                             summary.slower,
                             summary.faster,
                             summary.judged - marked,
                             comparison.cases.size() - summary.judged,
                             {summary.detectable, Kind::small_share}}});
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
      section.rows.push_back({{any.id, why}});
    else if (told.insert(why).second)
      section.rows.push_back({{counted(counts[why], "case"), why}});
  }
  return section;
}

std::string shortened(const std::string& value) {
  return value.size() <= kLongestValue ? value : value.substr(0, kLongestValue - 3) + "...";
}

Section environment_section(const Comparison& comparison, const Names& names) {
  Section section;
  const bool both =
      !comparison.base.first().environments.empty() && !comparison.other.first().environments.empty();
  section.title = "What differs in the environments";
  if (!both)
    section.sentences = {"One of the folders has no environment.json."};
  else if (comparison.environment.empty())
    section.sentences = {"Nothing."};
  section.columns = {{"key", Align::left}, {names.base, Align::left}, {names.other, Align::left}};
  for (const JsonDifference& difference : comparison.environment) {
    section.rows.push_back(
        {{difference.pointer.substr(1), shortened(difference.first), shortened(difference.second)}});
  }
  return section;
}

Section useful_section(const Comparison& comparison, const Names& names) {
  Section section;
  if (comparison.series.empty()) return section;
  section.title = fmt::format("Useful degree (efficiency at least {:.2f} in {}, {:.2f} in {})",
                              comparison.base.first().efficiency_floor, names.base,
                              comparison.other.first().efficiency_floor, names.other);
  section.columns = {
      {"workload and shape", Align::left}, {names.base, Align::right}, {"eff", Align::right},
      {names.other, Align::right},         {"eff", Align::right},      {"what stops the next", Align::left}};
  const auto degree = [](const std::optional<UsefulDegree>& useful) {
    if (!useful || !useful->degree) return Value();
    return Value(useful->degree_name + (useful->doubtful.empty() ? "" : "?"));
  };
  const auto efficiency = [](const std::optional<UsefulDegree>& useful) {
    return useful ? Value(useful->efficiency, Kind::hundredths) : Value();
  };
  const auto stop = [](const std::string& letter, const std::optional<UsefulDegree>& useful) {
    if (!useful) return letter + ": not run";
    if (useful->stop && !useful->finding.empty() && useful->next_outcome.empty())
      return fmt::format("{}: cannot say: {}", letter, useful->finding);
    if (useful->stop) return fmt::format("{}: {} at {}", letter, name_of(*useful->stop), useful->next_name);
    return fmt::format("{}: {}", letter, useful->degree ? "largest TP tested" : "no TP 1 case that is ok");
  };
  for (const ComparedSeries& series : comparison.series) {
    section.rows.push_back(
        {{series.name, degree(series.base), efficiency(series.base), degree(series.other),
          efficiency(series.other), stop(names.base, series.base) + "; " + stop(names.other, series.other)}});
    for (const auto& [letter, useful] :
         {std::pair(names.base, series.base), std::pair(names.other, series.other)}) {
      if (!useful) continue;
      const std::string place = letter + ", " + series.name + ": ";
      if (!useful->gap.empty()) section.sentences.push_back(place + useful->gap + ".");
      if (!useful->doubtful.empty())
        section.sentences.push_back(place + "not certain (?): " + useful->doubt + ".");
    }
  }
  return section;
}

// One of several comparisons is named by its letter.
void add_visibility(Section& section, std::span<const Comparison> comparisons, std::size_t i) {
  const std::string which = comparisons.size() > 1 ? folder_letter(i + 1) + " against A: " : "";
  section.sentences.push_back(which + visibility_sentence(comparisons[i]));
}

Section head_section(std::span<const Comparison> comparisons) {
  Section section;
  section.title = "Comparison";
  // What keeps the numbers from being believed stands before them.
  for (const Comparison& comparison : comparisons) {
    for (const std::string& alarm : comparison.alarms) section.sentences.push_back(alarm);
  }
  for (std::size_t i = 0; i < comparisons.size(); ++i) {
    if (!shows_ten_percent(comparisons[i])) add_visibility(section, comparisons, i);
  }
  for (std::size_t i = 0; i < comparisons.size(); ++i)
    section.sentences.push_back(outcome_sentence(comparisons[i], folder_letter(0), folder_letter(i + 1)));
  section.sentences.push_back(folder_sentence(folder_letter(0), comparisons.front().base));
  for (std::size_t i = 0; i < comparisons.size(); ++i)
    section.sentences.push_back(folder_sentence(folder_letter(i + 1), comparisons[i].other));
  for (std::size_t i = 0; i < comparisons.size(); ++i) {
    if (shows_ten_percent(comparisons[i])) add_visibility(section, comparisons, i);
  }
  std::vector<const Record*> records;
  for (const ComparedCase& compared : comparisons.front().cases) records.push_back(compared.base);
  if (!records.empty()) section.sentences.push_back(shared_fields(cases_of(records)));
  return section;
}

}  // namespace

std::vector<Section> compare_sections(std::span<const Comparison> comparisons) {
  if (comparisons.empty()) return {};
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
  return sections;
}

}  // namespace tpbench
