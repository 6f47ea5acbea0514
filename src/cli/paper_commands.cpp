// Commands that read results and need no ranks: nothing here starts MPI.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <future>
#include <set>

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "cli/commands.hpp"
#include "report/axes.hpp"
#include "report/chrome_trace.hpp"
#include "report/compare_render.hpp"
#include "report/csv.hpp"
#include "report/jsonl.hpp"
#include "report/nccl_tests.hpp"
#include "report/page.hpp"
#include "report/render.hpp"
#include "report/samples_table.hpp"
#include "result/atomic_file.hpp"
#include "result/folder.hpp"
#include "result/result_set.hpp"
#include "result/scaling.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kMostNamed = 5;

std::string cases_are(std::size_t count) {
  return fmt::format("{} case{}", count, count == 1 ? " is" : "s are");
}

// Cases that were ok and were not tried again cannot be judged; whoever uses the exit status must hear of
// them.
void warn_of_lost_cases(const Comparison& comparison) {
  std::size_t lost = 0;
  for (const UnmatchedCase& pair : comparison.unmatched) {
    const bool failed = pair.other != nullptr && pair.other->status == Status::failed;
    lost += pair.base != nullptr && is_timed(*pair.base) && !failed ? 1 : 0;
  }
  if (lost == 0) return;
  log::warning(fmt::format("{}: {} ok in {} and skipped or absent here, and cannot be judged",
                           comparison.other.path(), cases_are(lost), comparison.base.path()));
}

void warn_of_blindness(const Comparison& comparison, double limit) {
  const auto blind = blind_at(comparison, limit);
  if (blind.empty()) return;
  double largest = 0;
  for (const ComparedCase* compared : blind)
    largest = std::max(largest, compared->cells[0].detectable.value_or(0));
  log::warning(fmt::format(
      "{}: {} of {} cases cannot be judged at {:.3g} %: a step that is longer by up to {} would not show "
      "there; "
      "{}, or a quieter machine, shows smaller differences",
      comparison.other.path(), blind.size(), comparison.cases.size(), limit * 100, format_percent(largest),
      comparison.rounds > 1 ? "more rounds" : "measure.epochs of 8 or more in both"));
}

// The first few of what is wrong, a line each.
template <typename Items, typename Say>
void list_first(const Items& items, const Say& say) {
  for (std::size_t i = 0; i < items.size() && i < kMostNamed; ++i) log::error("  " + say(*items[i]));
  if (items.size() > kMostNamed) log::error(fmt::format("  and {} more", items.size() - kMostNamed));
}

// What the line of the gate sums up, by name.
void explain_gate(const Comparison& comparison, double limit) {
  warn_of_lost_cases(comparison);
  warn_of_blindness(comparison, limit);
  const std::string base = comparison.base.path(), other = comparison.other.path();
  const auto broken = broken_in_other(comparison);
  if (!broken.empty()) {
    log::error(fmt::format("{}: {} ok in {} and failed here", other, cases_are(broken.size()), base));
    list_first(broken, [](const UnmatchedCase& pair) {
      return fmt::format("{}: {}", pair.other->id, pair.other->reason.value_or("no reason recorded"));
    });
  }
  const auto slower = slower_than(comparison, limit);
  if (!slower.empty()) {
    log::error(fmt::format(
        "{}: {} of {} cases {} slower than in {} by more than {:.3g} % and more than the noise", other,
        slower.size(), comparison.cases.size(), slower.size() == 1 ? "is" : "are", base, limit * 100));
    list_first(slower, [](const ComparedCase& compared) {
      const Cell& step = compared.cells[0];
      return fmt::format("{}: {} -> {}, {:.2f} times", compared.base->id, format_seconds(step.base_s),
                         format_seconds(step.other_s), *step.ratio);
    });
  }
  if (comparison.cases.empty())
    log::error(fmt::format("{}: no case is ok both in {} and here: nothing was judged", other, base));
}

// A table ends with the line; who reads anything else on stdout finds it on stderr.
ExitStatus leave_gate(const Gate& gate, CompareFormat format) {
  if (format != CompareFormat::table && format != CompareFormat::markdown)
    (gate.outcome == GateOutcome::pass ? log::info : log::error)(gate.line());
  const bool is_open = gate.outcome == GateOutcome::inconclusive;
  switch (is_open ? gate.counted_as.value_or(gate.outcome) : gate.outcome) {
    case GateOutcome::pass:
      return ExitStatus::ok;
    case GateOutcome::fail:
      return ExitStatus::case_failed;
    case GateOutcome::inconclusive:
      return ExitStatus::inconclusive;
  }
  return ExitStatus::inconclusive;
}

bool is_narrow(const Comparison& comparison, double limit) {
  const std::size_t wide = wider_than(comparison, limit);
  if (wide > 0) {
    log::error(fmt::format("{}: the intervals of {} ratios are wider than +-{:.3g} %: more rounds are needed",
                           comparison.other.path(), wide, limit * 100));
  }
  return wide == 0;
}

NcclTestsExport export_collectives(const ResultSet& set) {
  NcclTestsExport exported = export_nccl_tests(set);
  if (exported.cases == 0) {
    throw UsageError(
        {Fault{set.path, "", "",
               "holds no all_reduce, all_gather or reduce_scatter case that is ok on two ranks or "
               "more: there is nothing to write for nccl-tests"}});
  }
  if (exported.on_one_rank > 0) {
    log::info(fmt::format("{} case{} on one rank left out: nothing is moved there", exported.on_one_rank,
                          exported.on_one_rank == 1 ? "" : "s"));
  }
  if (exported.untold > 0) {
    log::info(fmt::format("{} left out: the clocks of their hosts cannot tell the time (below_clock_error)",
                          counted(exported.untold, "case")));
  }
  return exported;
}

// The timelines of the folder's cases, in the order of the table.
std::string traced_text(const ResultSet& set) {
  std::vector<StepTrace> traces;
  for (const Record* record : in_order(set.records)) {
    if (auto trace = read_trace(set.path, record->id)) traces.push_back(std::move(*trace));
  }
  if (traces.empty())
    throw UsageError({Fault{set.path + "/traces", "", "",
                            "holds no timeline of these cases: a run writes one for each case that is ok"}});
  return chrome_trace(traces);
}

std::string exported_text(ExportFormat format, const ResultSet& set) {
  switch (format) {
    case ExportFormat::samples:
      return render_samples(set);
    case ExportFormat::trace:
      return traced_text(set);
    case ExportFormat::nccl_tests:
      return export_collectives(set).text;
    case ExportFormat::csv:
      return render_csv(set.records);
    case ExportFormat::jsonl:
      return render_jsonl(set.records);
    case ExportFormat::json:
      return render(Format::json, set.records, set.efficiency_floor);
    case ExportFormat::markdown:
      return render(Format::markdown, set.records, set.efficiency_floor);
    case ExportFormat::table:
      return render(Format::table, set.records, set.efficiency_floor);
  }
  throw std::logic_error("export: unknown format");
}

void keep_filtered(ResultSet& set, const std::vector<std::string>& filters) {
  if (filters.empty()) return;
  std::vector<Case> cases;
  for (const Record& record : set.records) cases.push_back(asked_case(record));
  std::set<std::string> ids;
  for (const Case& point : filter_cases(cases, filters)) ids.insert(case_id(point));
  std::erase_if(set.records, [&](const Record& record) { return !ids.contains(record.id); });
}

// Into the file that was named, or on stdout.
void write_output(const CommandLine& line, const std::string& text) {
  if (line.output.empty()) return print_results(text, "");
  if (std::filesystem::is_directory(line.output))
    throw UsageError({Fault{"--output " + line.output, "", "", "is a folder; name a file"}});
  write_file_atomically(line.output, text);
}

}  // namespace

void print_results(const std::string& text, const std::string& where_else) {
  if (std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0) return;
  throw EnvironmentError(
      fmt::format("stdout: cannot write the results: {}{}", std::strerror(errno), where_else));
}

ExitStatus compare_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  std::deque<ResultSet> sets;  // comparisons point into it
  const auto read = [&](const std::vector<std::string>& folders) {
    std::vector<const ResultSet*> found;
    for (const std::string& folder : folders) found.push_back(&sets.emplace_back(read_result_set(folder)));
    return found;
  };
  std::vector<Comparison> comparisons;
  if (line.base.empty()) {
    const std::vector<const ResultSet*> folders = read(line.folders);
    for (std::size_t i = 1; i < folders.size(); ++i) comparisons.push_back(compare(*folders[0], *folders[i]));
  } else {
    const std::vector<const ResultSet*> base = read(line.base), with = read(line.with);
    comparisons.push_back(compare(base, with));
  }
  std::optional<Gate> gate;
  if (line.fail_above) {
    gate = judge_gate(comparisons, *line.fail_above);
    gate->counted_as = line.inconclusive;
  }
  print_results(render_comparisons(line.compare_format, comparisons, gate ? &*gate : nullptr), "");
  bool is_narrow_enough = true;
  for (const Comparison& comparison : comparisons) {
    if (gate) explain_gate(comparison, *line.fail_above);
    if (line.fail_wider) is_narrow_enough = is_narrow(comparison, *line.fail_wider) && is_narrow_enough;
  }
  if (!is_narrow_enough) return ExitStatus::case_failed;
  return gate ? leave_gate(*gate, line.compare_format) : ExitStatus::ok;
}

ExitStatus export_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  ResultSet set = read_result_set(line.folders.front());
  keep_filtered(set, line.filters);
  write_output(line, exported_text(line.export_format, set));
  return ExitStatus::ok;
}

ExitStatus report_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  // What takes the time is to read.
  std::vector<std::future<ResultSet>> reading;
  for (const std::string& folder : line.folders)
    reading.push_back(std::async(std::launch::async, [folder] { return read_result_set(folder); }));
  std::vector<ResultSet> sets;
  for (std::future<ResultSet>& set : reading) sets.push_back(set.get());
  write_output(line, to_html(make_page(sets)));
  return ExitStatus::ok;
}

}  // namespace tpbench
