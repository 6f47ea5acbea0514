// Commands that read results and need no ranks: nothing here starts MPI.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>

#include "base/log.hpp"
#include "base/units.hpp"
#include "cli/commands.hpp"
#include "report/compare_render.hpp"
#include "report/csv.hpp"
#include "report/jsonl.hpp"
#include "report/nccl_tests.hpp"
#include "result/atomic_file.hpp"
#include "result/result_set.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kMostNamed = 5;

// Cases that were ok and are so no longer cannot be judged; whoever uses the exit status must hear of them.
void warn_of_lost_cases(const Comparison& comparison) {
  std::size_t lost = 0;
  for (const UnmatchedCase& pair : comparison.unmatched)
    lost += pair.base != nullptr && is_timed(*pair.base) ? 1 : 0;
  if (lost == 0) return;
  log::warning(fmt::format("{}: {} case{} that {} ok in {} {} not, or absent, and cannot be judged",
                           comparison.other->path, lost, lost == 1 ? "" : "s", lost == 1 ? "is" : "are",
                           comparison.base->path, lost == 1 ? "is" : "are"));
}

bool passes_gate(const Comparison& comparison, double limit) {
  warn_of_lost_cases(comparison);
  const auto slower = slower_than(comparison, limit);
  if (slower.empty()) return true;
  log::error(
      fmt::format("{}: {} of {} cases {} slower than in {} by more than {:.3g} % and more than the noise",
                  comparison.other->path, slower.size(), comparison.cases.size(),
                  slower.size() == 1 ? "is" : "are", comparison.base->path, limit * 100));
  for (std::size_t i = 0; i < slower.size() && i < kMostNamed; ++i) {
    const Cell& step = slower[i]->cells[0];
    log::error(fmt::format("  {}: {} -> {}, {:.2f} times", slower[i]->base->id, format_seconds(step.base_s),
                           format_seconds(step.other_s), *step.ratio));
  }
  if (slower.size() > kMostNamed) log::error(fmt::format("  and {} more", slower.size() - kMostNamed));
  return false;
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
  return exported;
}

std::string exported_text(ExportFormat format, const ResultSet& set) {
  switch (format) {
    case ExportFormat::nccl_tests:
      return export_collectives(set).text;
    case ExportFormat::csv:
      return render_csv(set.records);
    case ExportFormat::jsonl:
      return render_jsonl(set.records);
  }
  throw std::logic_error("export: unknown format");
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
  for (const std::string& folder : line.folders) sets.push_back(read_result_set(folder));
  std::vector<Comparison> comparisons;
  for (std::size_t i = 1; i < sets.size(); ++i) comparisons.push_back(compare(sets.front(), sets[i]));
  print_results(render_comparisons(line.compare_format, comparisons), "");
  if (!line.fail_above) return ExitStatus::ok;
  bool passed = true;
  for (const Comparison& comparison : comparisons)
    passed = passes_gate(comparison, *line.fail_above) && passed;
  return passed ? ExitStatus::ok : ExitStatus::case_failed;
}

ExitStatus export_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  const std::string text = exported_text(line.export_format, read_result_set(line.folders.front()));
  if (line.output.empty()) {
    print_results(text, "");
  } else if (std::filesystem::is_directory(line.output)) {
    throw UsageError({Fault{"--output " + line.output, "", "", "is a folder; name a file"}});
  } else {
    write_file_atomically(line.output, text);
  }
  return ExitStatus::ok;
}

}  // namespace tpbench
