// One page of everything that somebody who decides wants to see.
#include "report/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include "base/build_info.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "report/best_split.hpp"
#include "report/page_series.hpp"
#include "report/table.hpp"

namespace tpbench {
namespace {

// Charts of more would be looked at by nobody.
constexpr std::size_t kMostCharted = 24;

std::string subtitle(std::span<const NamedSet> sets) {
  std::vector<std::string> names;
  std::size_t cases = 0;
  std::set<std::string> hosts, dates;
  for (const NamedSet& named : sets) {
    names.push_back(named.name);
    for (const Record& record : named.set->records) {
      ++cases;
      hosts.insert(record.ranks.hosts.begin(), record.ranks.hosts.end());
      if (record.started_at.size() >= 10) dates.insert(record.started_at.substr(0, 10));
    }
  }
  std::string text = fmt::format("{} · {}", join_words(names), counted(cases, "case"));
  if (!hosts.empty())
    text += " on " + (hosts.size() <= 4 ? join_words(std::vector<std::string>(hosts.begin(), hosts.end()))
                                        : counted(hosts.size(), "host"));
  if (!dates.empty())
    text += " · " + (dates.size() == 1 ? *dates.begin() : *dates.begin() + " to " + *dates.rbegin());
  return text;
}

struct FastestStep {
  double step_s = 0, low_s = 0, high_s = 0;
  std::string words;
};

std::optional<FastestStep> fastest_step(const PageSeries::InSet& in, const std::string& name) {
  if (in.verdict == nullptr || !in.verdict->fastest) return std::nullopt;
  const UsefulDegree& verdict = *in.verdict;
  const double step_s = verdict.fastest_step_s;
  FastestStep fastest = {step_s, step_s, step_s,
                         fmt::format("{} at {} ({}{})", name, verdict.fastest_name, format_seconds(step_s),
                                     verdict.is_certain() ? "" : ", not certain")};
  for (const Record* record : in.records) {
    if (!is_timed(*record) || record->time->step.summary.median != step_s) continue;
    if (const auto& ci95 = record->time->step.summary.ci95) {
      fastest.low_s = (*ci95)[0];
      fastest.high_s = (*ci95)[1];
    }
  }
  return fastest;
}

// Where and at which degree a workload is fastest, and what the other folders reach.
std::string fastest_sentence(const PageSeries& series, std::span<const NamedSet> sets) {
  std::vector<FastestStep> steps;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (auto step = fastest_step(series.in[i], sets[i].name)) steps.push_back(std::move(*step));
  }
  if (steps.empty()) return series.name + ": nothing was measured.";
  std::sort(steps.begin(), steps.end(),
            [](const FastestStep& a, const FastestStep& b) { return a.step_s < b.step_s; });
  const bool is_tie = steps.size() > 1 && steps[1].low_s <= steps[0].high_s;
  constexpr std::size_t kMost = 4;
  std::vector<std::string> words;
  for (std::size_t i = 0; i < steps.size() && i < kMost; ++i) words.push_back(steps[i].words);
  return fmt::format("{}: {} {}.", series.name, is_tie ? "no clear winner:" : "fastest on",
                     fmt::join(words, is_tie ? ", " : "; "));
}

// Where no layer is divided, the stages are the answer, and not the verdicts; empty elsewhere.
std::vector<std::string> answers_of_stages(const NamedSet& named) {
  const bool divides_layers = std::any_of(named.verdicts.begin(), named.verdicts.end(),
                                          [](const UsefulDegree& verdict) { return !verdict.is_alone; });
  return divides_layers ? std::vector<std::string>() : best_layouts(in_order(named.set->records));
}

std::string no_answer(std::span<const NamedSet> sets) {
  for (const NamedSet& named : sets) {
    for (const Record& record : named.set->records) {
      if (!probes_fabric(record.point.workload)) return "Nothing was measured.";
    }
  }
  return "No workload of these cases divides work between ranks: see the collectives.";
}

Section answer(std::span<const NamedSet> sets, std::span<const PageSeries> series) {
  constexpr std::size_t kMost = 6;
  Section section;
  section.title = "Answer";
  if (sets.size() > 1)
    section.sentences = fabric_sentences(sets);
  else if (section.sentences = answers_of_stages(sets[0]); section.sentences.empty())
    section.sentences = verdict_sentences(sets[0].verdicts);
  for (const PageSeries& one : series) {
    if (sets.size() > 1) section.sentences.push_back(fastest_sentence(one, sets));
  }
  if (section.sentences.empty()) section.sentences = {no_answer(sets)};
  if (section.sentences.size() > kMost) {
    const std::size_t more = section.sentences.size() - kMost + 1;
    section.sentences.resize(kMost - 1);
    section.sentences.push_back(fmt::format("{} more sentences stand below, each beside its charts.", more));
  }
  return section;
}

Section how_sure(std::span<const NamedSet> sets) {
  std::size_t timed = 0, without = 0, open = 0, verdicts = 0;
  double widest = 0;
  std::int64_t least_epochs = 0, most_epochs = 0;
  for (const NamedSet& named : sets) {
    for (const Record& record : named.set->records) {
      if (!is_timed(record)) continue;
      const Summary& step = record.time->step.summary;
      least_epochs = timed == 0 ? record.epochs_done : std::min(least_epochs, record.epochs_done);
      most_epochs = std::max(most_epochs, record.epochs_done);
      ++timed;
      if (step.ci95 && step.median > 0)
        widest = std::max(widest, ((*step.ci95)[1] - (*step.ci95)[0]) / 2 / step.median);
      else
        ++without;
    }
    if (sets.size() == 1 && !answers_of_stages(named).empty()) continue;
    for (const UsefulDegree& verdict : named.verdicts) {
      ++verdicts;
      open += verdict.is_certain() ? 0 : 1;
    }
  }
  Section section;
  section.title = "How sure";
  if (timed == 0) {
    section.sentences = {"Nothing was measured."};
    return section;
  }
  std::string text =
      verdicts == 0 ? ""
      : open == 0   ? fmt::format("{} certain within this launch. ",
                                verdicts == 1 ? "The verdict is" : "All verdicts are")
                    : fmt::format("{} of {} {} not certain, and {} why. ", open, counted(verdicts, "verdict"),
                                open == 1 ? "is" : "are", open == 1 ? "says" : "say");
  text += fmt::format(
      "The widest 95 % interval of a step is ±{:.3g} %{}; ", 100 * widest,
      without > 0
          ? fmt::format(", and {} none", without == 1 ? "1 case has" : fmt::format("{} cases have", without))
          : "");
  text += most_epochs == least_epochs ? counted(static_cast<std::size_t>(most_epochs), "epoch")
                                      : fmt::format("{} to {} epochs", least_epochs, most_epochs);
  text += ". Intervals say nothing of the next launch: repeat the run where a few percent decide.";
  section.sentences = {text};
  return section;
}

// What each environment says is wrong, and what the warnings of the cases say of the machine.
Section machine(std::span<const NamedSet> sets) {
  Section section;
  section.title = "Machine";
  std::vector<std::string> quiet;
  for (const NamedSet& named : sets) {
    std::map<std::string, std::pair<std::size_t, std::string>>
        findings;  // by code: cases, and the words of one
    std::size_t timed = 0;
    for (const Record& record : named.set->records) {
      if (!is_timed(record)) continue;
      ++timed;
      const std::string code = machine_finding_code(record);
      if (code.empty()) continue;
      auto& [cases, words] = findings[code];
      if (cases++ == 0) words = machine_finding(record);
    }
    std::vector<std::pair<std::size_t, std::string>> worst;
    for (const auto& [code, finding] : findings) worst.push_back(finding);
    std::sort(worst.begin(), worst.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    const std::string who = sets.size() > 1 ? named.name + ": " : "";
    constexpr std::size_t kMost = 3;
    for (std::size_t i = 0; i < worst.size() && i < kMost; ++i)
      section.sentences.push_back(
          fmt::format("{}{} ({} of {}).", who, worst[i].second, worst[i].first, counted(timed, "case")));
    if (worst.size() > kMost)
      section.sentences.push_back(
          fmt::format("{}{} more findings: see the warnings.", who, worst.size() - kMost));
    if (worst.empty() && timed > 0) quiet.push_back(named.name);
    if (const auto noise = named.set->noise(); noise && *noise > 0.10)
      section.sentences.push_back(
          fmt::format("{}the same work took up to {:.0f} % longer at the start of the launch: other "
                      "programs, or a shared machine.",
                      who, 100 * *noise));
  }
  if (!quiet.empty()) {
    section.sentences.push_back(fmt::format(
        "{}othing was found to be wrong: no rank shared a core, no quota, no drift, no slow kernels.",
        quiet.size() == sets.size() ? "N" : join_words(quiet) + ": n"));
  }
  for (std::string& sentence : section.sentences) {
    if (sets.size() == 1 && !sentence.empty())
      sentence[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(sentence[0])));
  }
  return section;
}

std::vector<Section> scaling_sections(const std::vector<PageSeries>& series, std::span<const NamedSet> sets) {
  if (series.empty()) return {};
  Section head;
  head.title = "Scaling";
  if (series.size() > kMostCharted)
    head.sentences = {
        fmt::format("Charts of the first {} of {} workloads and shapes; every case stands in the table.",
                    kMostCharted, series.size())};
  std::vector<Section> sections = {std::move(head)};
  for (std::size_t i = 0; i < series.size() && i < kMostCharted; ++i) {
    sections.push_back(series_section(series[i], sets));
  }
  return sections;
}

std::vector<Section> case_sections(std::span<const NamedSet> sets) {
  std::vector<Section> sections;
  for (const NamedSet& named : sets) {
    std::vector<Section> parts = result_sections(named.set->records, named.set->efficiency_floor);
    bool has_title = false;
    for (std::size_t i = 1; i < parts.size(); ++i) {  // without the verdict, which stands first
      Section& part = parts[i];
      if (part.sentences.empty() && part.rows.empty()) continue;
      part.is_below = has_title;
      if (!has_title && part.title.empty()) {
        part.title = "Cases" + (sets.size() > 1 ? " of " + named.name : std::string());
        has_title = true;
      }
      sections.push_back(std::move(part));
    }
  }
  return sections;
}

// A line for each fact; lists of more than a few entries are counted.
void add_facts(const Json& json, const std::string& key, Section& section) {
  constexpr std::size_t kMostEntries = 8;
  if (json.is_null()) return;
  if (json.is_object()) {
    for (const auto& [name, value] : json.items())
      add_facts(value, key.empty() ? name : key + '.' + name, section);
  } else if (json.is_array() && !json.empty() && !json.front().is_primitive()) {
    for (std::size_t i = 0; i < json.size() && i < kMostEntries; ++i)
      add_facts(json[i], fmt::format("{}.{}", key, i), section);
    if (json.size() > kMostEntries)
      section.rows.push_back({{key, fmt::format("... {} in all", json.size())}});
  } else {
    section.rows.push_back(
        {{key, json.is_string() ? json.get<std::string>()
                                : json.dump(-1, ' ', false, Json::error_handler_t::replace)}});
  }
}

std::vector<Section> environment_sections(std::span<const NamedSet> sets) {
  std::vector<Section> sections;
  for (const NamedSet& named : sets) {
    for (const auto& [file, environment] : named.set->environments) {
      Section section;
      section.title = fmt::format("{}{}", sets.size() > 1 ? named.name + ", " : "", file);
      section.is_below = section.is_folded = true;
      section.columns = {{"key", Align::left}, {"value", Align::left}};
      add_facts(environment, "", section);
      if (environment.contains("problems") && environment.at("problems").is_array()) {
        for (const Json& problem : environment.at("problems")) {
          if (problem.is_string()) section.sentences.push_back(problem.get<std::string>());
        }
      }
      sections.push_back(std::move(section));
    }
  }
  if (!sections.empty()) {
    Section head;
    head.title = "Environment";
    sections.insert(sections.begin(), std::move(head));
  }
  return sections;
}

std::string tool_of(const ResultSet& set) {
  for (const auto& [file, environment] : set.environments) {
    const Json tool = environment.value("tool", Json::object());
    if (tool.is_object() && tool.contains("version"))
      return fmt::format("tpbench {} ({})", tool.value("version", ""), tool.value("git_revision", ""));
  }
  return "tpbench";
}

std::vector<Section> reproduce_sections(std::span<const NamedSet> sets) {
  Section head;
  head.title = "How to reproduce";
  head.sentences = {
      fmt::format("Put the sweep file beside the command. This page was written by tpbench {} ({}).",
                  build_info().version, build_info().git_revision)};
  std::vector<Section> sections = {std::move(head)};
  for (const NamedSet& named : sets) {
    Section command;
    command.title = sets.size() > 1 ? named.name : "";
    command.is_below = true;
    command.sentences = {tool_of(*named.set) + ", folder " + named.set->path +
                         (named.set->label.empty() ? "" : ", label " + named.set->label)};
    command.code = named.set->command;
    sections.push_back(std::move(command));
    if (named.set->sweep.is_null()) continue;
    Section sweep;
    sweep.is_below = sweep.is_folded = true;
    sweep.sentences = {"sweep.json"};
    sweep.code = named.set->sweep.dump(2, ' ', false, Json::error_handler_t::replace);
    sections.push_back(std::move(sweep));
  }
  return sections;
}

}  // namespace

Page make_page(std::span<const ResultSet> sets) {
  const std::vector<NamedSet> named = name_sets(sets);
  const std::vector<PageSeries> series = page_series(named);
  Page page;
  page.title = "Tensor parallelism, measured";
  page.subtitle = subtitle(named);
  page.head = {answer(named, series), how_sure(named), machine(named)};
  const auto add = [&](std::vector<Section> sections) {
    std::move(sections.begin(), sections.end(), std::back_inserter(page.sections));
  };
  if (named.size() > 1) add(fabrics_sections(named, series));
  add(split_sections(named));
  add(scaling_sections(series, named));
  for (Section& section :
       std::vector<Section>{collectives_section(named), timelines_section(named), samples_section(named)}) {
    if (!section.figures.empty()) add({std::move(section)});
  }
  add(case_sections(named));
  add(environment_sections(named));
  add(reproduce_sections(named));
  return page;
}

}  // namespace tpbench
