#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/enum_names.hpp"
#include "cli/plan_options.hpp"
#include "cli/predict_options.hpp"
#include "report/compare_render.hpp"
#include "report/render.hpp"

namespace tpbench {

enum class Command {
  run,
  validate,
  models,
  info,
  selfcheck,
  probe,
  compare,
  export_results,
  report,
  predict,
  plan,
  describe
};

/// What `tpbench export --to` writes.
enum class ExportFormat { nccl_tests, csv, json, jsonl, table, markdown, samples, trace };

/// What was typed.
struct CommandLine {
  Command command = Command::run;
  std::string typed;  ///< the whole line, so that a shell would take it again
  std::string config;
  std::string output;
  std::string resume;
  std::string continued;  ///< --continue: resume what is in this folder, or begin there
  std::string label;
  std::vector<std::string> filters;
  std::vector<std::string>
      overrides;  ///< --set in order; --backend, --seed and --no-verify are spelled out as such
  Format format = Format::table;
  bool dry_run = false;
  std::optional<std::int64_t> memory_per_rank;  ///< --dry-run: bytes
  bool quiet = false;
  bool verbose = false;
  bool json = false;                             ///< models, info, selfcheck and probe
  std::string backend;                           ///< selfcheck; empty: the one that computes on the host
  std::optional<std::int64_t> threads_per_rank;  ///< selfcheck; empty: the default of a sweep
  bool keep_blas_kernels = false;                ///< run, info, selfcheck and probe
  double watchdog_s = 60;
  std::int64_t max_bytes = std::int64_t{16} << 20;  ///< probe: the largest message
  bool quick = false;                               ///< probe
  std::vector<std::string> folders;                 ///< compare: the base first; report; export: one
  CompareFormat compare_format = CompareFormat::table;
  std::vector<std::string> base, with;  ///< compare: launches of both sides, in place of folders
  std::optional<double> fail_above;     ///< compare: 0.05 for 5 %
  std::optional<double> fail_wider;     ///< compare: the same
  std::optional<GateOutcome>
      inconclusive;  ///< compare: what an inconclusive gate counts as; empty: exit status 4
  ExportFormat export_format = ExportFormat::csv;
  PredictLine predict;
  PlanLine plan;
  std::string description;  ///< describe: what it writes
};

/// Result of parsing: either something to do, or an exit status with what has been printed already (--help, a
/// mistake).
struct ParsedCommandLine {
  std::optional<CommandLine> command_line;
  int exit_status = 0;
};

/// `speaks`: whether this process prints help and mistakes; of the ranks of a launch only the first does.
ParsedCommandLine parse_command_line(int argc, const char* const* argv, bool speaks);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::ExportFormat, {tpbench::ExportFormat::nccl_tests, "nccl-tests"},
                   {tpbench::ExportFormat::csv, "csv"}, {tpbench::ExportFormat::json, "json"},
                   {tpbench::ExportFormat::jsonl, "jsonl"}, {tpbench::ExportFormat::table, "table"},
                   {tpbench::ExportFormat::markdown, "markdown"}, {tpbench::ExportFormat::samples, "samples"},
                   {tpbench::ExportFormat::trace, "trace"});
