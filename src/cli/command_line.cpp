#include "cli/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <string_view>

#include "base/build_info.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace tpbench {
namespace {

constexpr const char* kFooter = R"(
Examples:
  mpirun -n 2 tpbench --config sweep.json --label eth-1g
  tpbench --config sweep.json --dry-run
  mpirun -n 8 tpbench --config sweep.json --set measure.max_seconds=1 --filter tp_degree=1,8
  mpirun -n 8 tpbench --resume results/my-sweep
  mpirun -n 4 --hostfile hosts tpbench probe --output eth-1g.json
  tpbench compare results/eth-1g results/eth-10g
  tpbench compare results/before results/after --fail-above 5%
  tpbench export results/eth-1g --to nccl-tests --output eth-1g.json

Results go to stdout and into the output folder, everything else to stderr.
Exit status: 0 every case ok or skipped, 1 a case failed (compare: a slow-down beyond --fail-above),
2 command line, sweep file or result folder wrong, 3 the environment cannot do it, 130 interrupted.)";

// Options that only spell a --set differently.
struct Shorthands {
  std::string backend;
  std::string seed;
  bool no_verify = false;
};

template <typename E>
E named(const std::string& name, const std::string& option) {
  if (const auto value = enum_from_name<E>(name)) return *value;
  std::vector<std::string> names;
  for (const auto& [value, known] : EnumNames<E>::table) names.emplace_back(known);
  throw CLI::ValidationError(option, name + ": must be " + join_words(names, " or "));
}

// "5%", "5 %" or "0.05". A bare number above 1 is a forgotten sign: nobody looks for a slow-down of 500 %.
double share_named(const std::string& text) {
  const auto refuse = [&](const char* rule) {
    throw CLI::ValidationError("--fail-above", text + ": " + rule);
  };
  std::string number = text;
  const bool is_percent = !number.empty() && number.back() == '%';
  if (is_percent) number.pop_back();
  while (is_percent && !number.empty() && number.back() == ' ') number.pop_back();
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(value))
    refuse("must be a share such as 5% or 0.05");
  if (value < 0 || std::signbit(value)) refuse("must not be negative");
  if (!is_percent && value > 1) refuse("is more than the whole; write a percent sign for percent");
  return is_percent ? value / 100 : value;
}

void add_compare_options(CLI::App& app, CommandLine& line) {
  app.add_option("folders", line.folders, "Result folders; the first is the base")
      ->required()
      ->type_name("DIR DIR...");
  app.add_option_function<std::string>(
         "--format",
         [&line](const std::string& name) { line.compare_format = named<CompareFormat>(name, "--format"); },
         "What stdout gets: table, csv, json, markdown or none [table]")
      ->type_name("FORMAT");
  app.add_option_function<std::string>(
         "--fail-above", [&line](const std::string& text) { line.fail_above = share_named(text); },
         "Exit with 1 when a step is slower than the base by more than this, and more than the noise: 5% or "
         "0.05")
      ->type_name("SHARE");
}

void add_export_options(CLI::App& app, CommandLine& line) {
  app.add_option("folder", line.folders, "Result folder")->required()->expected(1)->type_name("DIR");
  app.add_option_function<std::string>(
         "--to", [&line](const std::string& name) { line.export_format = named<ExportFormat>(name, "--to"); },
         "table (what the run printed), csv, jsonl, or nccl-tests (the collectives as its -J writes them)")
      ->required()
      ->type_name("FORM");
  app.add_option("-o,--output", line.output, "File to write, whole or not at all [stdout]")
      ->type_name("FILE");
}

void add_watchdog_option(CLI::App& app, CommandLine& line, const char* what) {
  app.add_option("--watchdog", line.watchdog_s, what)
      ->type_name("SECONDS")
      ->check(CLI::Range(1.0, 86400.0).description(""));
}

void add_probe_options(CLI::App& app, CommandLine& line) {
  app.add_option("--max-bytes", line.max_bytes,
                 "Largest message, from 64 bytes to 1GiB: 1048576, 64KiB or 16MiB [16MiB]")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(true).description(""))
      ->check(CLI::Range(std::int64_t{64}, std::int64_t{1} << 30).description(""));
  app.add_flag("--quick", line.quick, "Fewer sizes and samples: a first look");
  app.add_flag("--json", line.json, "Put the whole document on stdout instead of the table (docs/probe.md)");
  app.add_option("-o,--output", line.output, "Also write the document to this file, whole or not at all")
      ->type_name("FILE");
  app.add_option("--label", line.label, "Name of the fabric under test")->type_name("NAME");
  add_watchdog_option(app, line, "End the job when nothing has moved for this long [60]");
  app.add_flag("-q,--quiet", line.quiet, "No progress, only warnings and errors");
}

// An option that takes a list is repeated; without extra arguments it takes one value each time.
void add_run_options(CLI::App& app, CommandLine& line, Shorthands& shorthands) {
  app.add_option("-c,--config", line.config, "Sweep file (docs/sweep-file.md)")->type_name("FILE");
  app.add_option("-o,--output", line.output, "New folder for the results [results/NAME-TIME]")
      ->type_name("DIR");
  app.add_option("--resume", line.resume,
                 "Go on in a folder of the same sweep: skip what is finished, run failed cases again")
      ->type_name("DIR");
  app.add_option("--label", line.label, "Name of the fabric under test, written into every record")
      ->type_name("NAME");
  app.add_option("--filter", line.filters, "Run only cases where KEY has one of the values; may be repeated")
      ->type_name("KEY=VALUE[,VALUE]")
      ->allow_extra_args(false);
  app.add_option("--set", line.overrides, "Put VALUE in place of what the sweep file says; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option_function<std::string>(
         "--format", [&line](const std::string& name) { line.format = named<Format>(name, "--format"); },
         "What stdout gets: table, csv, jsonl or none [table]")
      ->type_name("FORMAT");
  app.add_option("--backend", shorthands.backend, "The same as --set backend=NAME")->type_name("NAME");
  app.add_option("--seed", shorthands.seed, "The same as --set seed=N")->type_name("N");
  app.add_flag("--no-verify", shorthands.no_verify, "The same as --set verify=off");
  app.add_flag("--dry-run", line.dry_run, "Show the cases and what they would take; run nothing");
  add_watchdog_option(
      app, line,
      "End the job when nothing has moved for this long, beside what the case's size explains [60]");
  app.add_flag("-q,--quiet", line.quiet, "No progress, only warnings and errors");
  app.add_flag("-v,--verbose", line.verbose, "More about what is going on");
}

void spell_out(CommandLine& line, const Shorthands& shorthands) {
  if (!shorthands.backend.empty()) line.overrides.push_back("backend=" + shorthands.backend);
  if (!shorthands.seed.empty()) line.overrides.push_back("seed=" + shorthands.seed);
  if (shorthands.no_verify) line.overrides.emplace_back("verify=off");
}

// Rules that CLI11 cannot know.
void check_together(const CommandLine& line) {
  if (line.command == Command::compare && line.folders.size() < 2)
    throw CLI::RequiredError("compare: two result folders or more");
  if (line.command == Command::run) {
    if (line.config.empty() && line.resume.empty())
      throw CLI::RequiredError("--config FILE (or --resume DIR)");
    if (!line.output.empty() && !line.resume.empty()) throw CLI::ExcludesError("--output", "--resume");
    if (line.quiet && line.verbose) throw CLI::ExcludesError("--quiet", "--verbose");
  }
  if (line.command == Command::run || line.command == Command::probe) {
    if (!std::isfinite(line.watchdog_s))
      throw CLI::ValidationError("--watchdog", "must be a number of seconds");
    const bool printable = std::none_of(line.label.begin(), line.label.end(),
                                        [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (!printable || line.label.size() > 100)
      throw CLI::ValidationError("--label", "must be one line of at most 100 bytes");
  }
}

std::string version_text() {
  const BuildInfo& build = build_info();
  return fmt::format("tpbench {} ({}, {}, {})", build.version, build.git_revision, build.build_type,
                     build.compiler);
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv, bool speaks) {
  CommandLine line;
  Shorthands shorthands;
  CLI::App app("Benchmarks the tensor-parallel layers of a transformer on real ranks and a real fabric.",
               "tpbench");
  app.set_version_flag("--version", version_text());
  app.footer(kFooter);
  app.require_subcommand(0, 1);
  add_run_options(app, line, shorthands);

  CLI::App* run = app.add_subcommand("run", "Run a sweep (the default)");
  add_run_options(*run, line, shorthands);
  CLI::App* validate = app.add_subcommand("validate", "Check a sweep file and run nothing");
  validate->add_option("sweep", line.config, "Sweep file")->required()->type_name("FILE");
  validate
      ->add_option("--set", line.overrides, "Put VALUE in place of what the sweep file says; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  CLI::App* models =
      app.add_subcommand("models", "List the models whose shapes a sweep can take by name (docs/models.md)");
  models->add_flag("--json", line.json, "As JSON");
  CLI::App* info = app.add_subcommand(
      "info", "Show machine, libraries, backends and binding, and what is wrong with them");
  info->add_flag("--json", line.json, "As JSON");
  CLI::App* selfcheck = app.add_subcommand("selfcheck", "Measure what tpbench itself costs (under mpirun)");
  selfcheck->add_flag("--json", line.json, "As JSON");
  selfcheck->add_option("--backend", line.backend, "Whose empty step and clock: cpu or cuda [cpu]")
      ->type_name("NAME");
  CLI::App* probe = app.add_subcommand(
      "probe", "Measure what a message costs by its size, inside hosts and between them (under mpirun)");
  add_probe_options(*probe, line);
  CLI::App* compare =
      app.add_subcommand("compare", "Hold result folders against the first: what differs, what is noise");
  add_compare_options(*compare, line);
  CLI::App* export_results = app.add_subcommand("export", "Write a result folder in another form");
  add_export_options(*export_results, line);

  try {
    app.parse(argc, argv);
    if (validate->parsed()) line.command = Command::validate;
    if (models->parsed()) line.command = Command::models;
    if (info->parsed()) line.command = Command::info;
    if (selfcheck->parsed()) line.command = Command::selfcheck;
    if (probe->parsed()) line.command = Command::probe;
    if (compare->parsed()) line.command = Command::compare;
    if (export_results->parsed()) line.command = Command::export_results;
    spell_out(line, shorthands);
    check_together(line);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return {std::nullopt, speaks ? app.exit(wanted) : 0};
  } catch (const CLI::ParseError& error) {
    if (speaks) std::cerr << "tpbench: error: " << error.what() << "\nRun tpbench --help for the options.\n";
    return {std::nullopt, static_cast<int>(ExitStatus::bad_usage)};
  }
  for (int i = 0; i < argc; ++i) line.typed += (i == 0 ? "" : " ") + shell_quoted(argv[i]);
  return {line, 0};
}

}  // namespace tpbench
