#include "cli/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <string_view>

#include "base/build_info.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/describe.hpp"
#include "cli/option_values.hpp"

namespace tpbench {
namespace {

// Options that only spell a --set differently.
struct Shorthands {
  std::string backend;
  std::string seed;
  bool no_verify = false;
};

// "5%", "5 %" or "0.05". A bare number above 1 is a forgotten sign: nobody looks for a slow-down of 500 %.
double share_named(const std::string& text, const char* option) {
  const auto refuse = [&](const char* rule) { throw CLI::ValidationError(option, text + ": " + rule); };
  std::string number = text;
  const bool is_percent = !number.empty() && number.back() == '%';
  if (is_percent) number.pop_back();
  while (is_percent && !number.empty() && number.back() == ' ') number.pop_back();
  const double value = number_from<double>(number).value_or(std::nan(""));
  if (!std::isfinite(value)) refuse("must be a share such as 5% or 0.05");
  if (value < 0 || std::signbit(value)) refuse("must not be negative");
  if (!is_percent && value > 1) refuse("is above 100 %; write a percent sign for percent");
  return is_percent ? value / 100 : value;
}

// An empty word is a shell variable that was not set: to go on without it would mean something else.
CLI::Validator not_empty() {
  return {[](const std::string& text) { return text.empty() ? std::string("must not be empty") : ""; }, ""};
}

void add_compare_options(CLI::App& app, CommandLine& line) {
  app.add_option("folders", line.folders, "Result folders of one launch each; the first is the base")
      ->type_name("DIR DIR...");
  app.add_option(
         "--base", line.base,
         "Folders of several launches of the base, two or more: a rolling baseline, or one side of --with")
      ->type_name("DIR DIR...");
  app.add_option("--with", line.with,
                 "One new launch, or as many as the base has (scripts/alternate.sh makes both)")
      ->type_name("DIR DIR...");
  app.add_option_function<std::string>(
         "--format",
         [&line](const std::string& name) { line.compare_format = named<CompareFormat>(name, "--format"); },
         "What goes to stdout: table, csv, json, markdown or none [table]")
      ->type_name("FORMAT");
  app.add_option_function<std::string>(
         "--fail-above",
         [&line](const std::string& text) { line.fail_above = share_named(text, "--fail-above"); },
         "Gate: end with PASS, FAIL (exit 1) when a step is slower by more than this and the noise, or "
         "INCONCLUSIVE "
         "(exit 4): 5% or 0.05")
      ->type_name("SHARE");
  app.add_option_function<std::string>(
         "--inconclusive",
         [&line](const std::string& name) {
           if (name != "pass" && name != "fail")
             throw CLI::ValidationError("--inconclusive", name + ": must be pass or fail");
           line.inconclusive = named<GateOutcome>(name, "--inconclusive");
         },
         "What a gate counts as that cannot judge every case: pass or fail [exit status 4]")
      ->type_name("OUTCOME");
  app.add_option_function<std::string>(
         "--fail-wider",
         [&line](const std::string& text) { line.fail_wider = share_named(text, "--fail-wider"); },
         "Exit with 1 when the interval of a ratio is wider than +-SHARE: more rounds are needed")
      ->type_name("SHARE");
}

void add_export_options(CLI::App& app, CommandLine& line) {
  app.add_option("folder", line.folders, "Result folder")->required()->expected(1)->type_name("DIR");
  app.add_option_function<std::string>(
         "--to", [&line](const std::string& name) { line.export_format = named<ExportFormat>(name, "--to"); },
         "table (what the run printed), markdown (the same), csv, json (verdicts and cases), jsonl (whole "
         "records), "
         "samples (csv: one row for each sample), trace (one step as a timeline of ranks, for Perfetto), or "
         "nccl-tests "
         "(the collectives as its -J writes them)")
      ->required()
      ->type_name("FORM");
  app.add_option("--filter", line.filters, "Only cases where KEY has one of the values; may be repeated")
      ->type_name("KEY=VALUE[,VALUE]")
      ->allow_extra_args(false);
  app.add_option("-o,--output", line.output, "Output file [stdout]")->type_name("FILE")->check(not_empty());
}

void add_report_options(CLI::App& app, CommandLine& line) {
  app.add_option("folders", line.folders, "Result folders; with several, the first is the base")
      ->required()
      ->type_name("DIR...");
  app.add_option("-o,--output", line.output, "Output file [stdout]")->type_name("FILE")->check(not_empty());
}

double seconds_named(const std::string& text) {
  constexpr double kLeast = 1, kMost = 86400;
  const std::optional<double> seconds = number_from<double>(text);
  if (!seconds || !(*seconds >= kLeast && *seconds <= kMost))
    throw CLI::ValidationError("--watchdog", text + ": must be a number of seconds from 1 to 86400");
  return *seconds;
}

std::int64_t message_size_named(const std::string& text) {
  constexpr std::int64_t kLeast = 64, kMost = std::int64_t{1} << 30;
  const std::optional<std::int64_t> bytes = size_from(text);
  if (!bytes || *bytes < kLeast || *bytes > kMost) {
    throw CLI::ValidationError(
        "--max-bytes", text + ": must be a whole number of bytes from 64 to 1GiB, such as 1048576 or 64KiB");
  }
  return *bytes;
}

void add_watchdog_option(CLI::App& app, CommandLine& line, const char* what) {
  app.add_option_function<std::string>(
         "--watchdog", [&line](const std::string& text) { line.watchdog_s = seconds_named(text); }, what)
      ->type_name("SECONDS");
}

void add_kernel_option(CLI::App& app, CommandLine& line) {
  app.add_flag("--keep-blas-kernels", line.keep_blas_kernels,
               "Keep the kernels that OpenBLAS chose, however slow they are on this CPU");
}

void add_probe_options(CLI::App& app, CommandLine& line) {
  app.add_option_function<std::string>(
         "--max-bytes", [&line](const std::string& text) { line.max_bytes = message_size_named(text); },
         "Largest message, from 64 bytes to 1GiB: 1048576, 64KiB or 16MiB [16MiB]")
      ->type_name("SIZE");
  app.add_flag("--quick", line.quick, "Fewer sizes and samples: a first look");
  app.add_flag("--json", line.json,
               "Write the whole document to stdout instead of the table (docs/probe.md)");
  app.add_option("-o,--output", line.output, "Also write the document to this file")
      ->type_name("FILE")
      ->check(not_empty());
  app.add_option("--label", line.label, "Name of the fabric under test")->type_name("NAME");
  add_kernel_option(app, line);
  add_watchdog_option(app, line, "End the job when nothing has moved for this many seconds [60]");
  app.add_flag("-q,--quiet", line.quiet, "No progress, only warnings and errors");
}

// An option that takes a list is repeated; without extra arguments it takes one value each time.
void add_run_options(CLI::App& app, CommandLine& line, Shorthands& shorthands) {
  app.add_option("-c,--config", line.config, "Sweep file (docs/sweep-file.md); -: standard input")
      ->type_name("FILE")
      ->check(not_empty());
  app.add_option("-o,--output", line.output, "New folder for the results [results/NAME-TIME]")
      ->type_name("DIR")
      ->check(not_empty());
  app.add_option("--resume", line.resume,
                 "Continue in a folder of the same sweep: skip finished cases, run failed ones again")
      ->type_name("DIR")
      ->check(not_empty());
  app.add_option("--continue", line.continued,
                 "--resume DIR if a run has begun there, else --output DIR: for jobs that are restarted")
      ->type_name("DIR")
      ->check(not_empty());
  app.add_option("--label", line.label, "Name of the fabric under test, written into every record")
      ->type_name("NAME");
  app.add_option("--filter", line.filters,
                 "Run only cases where KEY has one of the values; may be repeated. --resume keeps the "
                 "earlier run's filters unless others are given; --filter all drops them")
      ->type_name("KEY=VALUE[,VALUE]")
      ->allow_extra_args(false);
  app.add_option("--set", line.overrides, "Override a key of the sweep file; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option_function<std::string>(
         "--format", [&line](const std::string& name) { line.format = named<Format>(name, "--format"); },
         "What goes to stdout: table, csv, json, jsonl, markdown or none [table]")
      ->type_name("FORMAT");
  app.add_option("--backend", shorthands.backend, "Same as --set backend=NAME; cannot be combined with it")
      ->type_name("NAME")
      ->check(not_empty());
  app.add_option("--seed", shorthands.seed, "Same as --set seed=N; cannot be combined with it")
      ->type_name("N")
      ->check(not_empty());
  app.add_flag("--no-verify", shorthands.no_verify,
               "Same as --set verify=off; cannot be combined with --set verify");
  add_kernel_option(app, line);
  app.add_flag("--dry-run", line.dry_run,
               "Show the cases and what they would take; run nothing. With a folder of earlier results in "
               "--output or --resume also what its times foretell of pipelines");
  add_memory_option(app, line.memory_per_rank,
                    "With --dry-run: mark what fits in this memory of a rank: 24GB or 80GiB");
  add_watchdog_option(
      app, line,
      "End the job when nothing has moved for this many seconds, beyond what the case's size explains [60]");
  app.add_flag("-q,--quiet", line.quiet, "No progress, only warnings and errors");
  app.add_flag("-v,--verbose", line.verbose, "More detail");
}

// One key by two options: whichever won, the other would be dropped without a word.
void spell_out(CommandLine& line, const Shorthands& shorthands) {
  std::vector<std::string> spelled;
  const auto spell = [&](const std::string& typed, const std::string& key, const std::string& value) {
    for (const std::string& override : line.overrides) {
      if (override.substr(0, override.find_first_of("= \t")) != key) continue;
      throw CLI::ValidationError(fmt::format("{} and --set {}", typed, override),
                                 fmt::format("both set {}; give one", key));
    }
    spelled.push_back(key + '=' + value);
  };
  if (!shorthands.backend.empty()) spell("--backend " + shorthands.backend, "backend", shorthands.backend);
  if (!shorthands.seed.empty()) spell("--seed " + shorthands.seed, "seed", shorthands.seed);
  if (shorthands.no_verify) spell("--no-verify", "verify", "off");
  line.overrides.insert(line.overrides.end(), spelled.begin(), spelled.end());
}

void check_sides_of_compare(const CommandLine& line) {
  const bool by_sides = !line.base.empty() || !line.with.empty();
  if (line.inconclusive && !line.fail_above)
    throw CLI::RequiredError("--fail-above SHARE beside --inconclusive");
  if (!by_sides && line.folders.size() < 2) throw CLI::RequiredError("compare: two result folders or more");
  if (!by_sides) return;
  if (!line.folders.empty())
    throw CLI::ValidationError(
        "compare",
        line.folders.front() + ": cannot be combined with --base and --with, which name all folders");
  if (line.base.empty() || line.with.empty())
    throw CLI::RequiredError("compare: --base DIR... and --with DIR... together");
}

// Rules that CLI11 cannot know.
void check_together(const CommandLine& line) {
  if (line.command == Command::compare) check_sides_of_compare(line);
  if (line.command == Command::predict) check_predict_options(line.predict);
  if (line.command == Command::plan) check_plan_options(line.plan);
  if (line.command == Command::run) {
    if (line.config.empty() && line.resume.empty() && line.continued.empty())
      throw CLI::RequiredError("--config FILE (or --resume DIR)");
    if (!line.output.empty() && !line.resume.empty()) throw CLI::ExcludesError("--output", "--resume");
    if (!line.continued.empty()) {
      if (!line.output.empty()) throw CLI::ExcludesError("--output", "--continue");
      if (!line.resume.empty()) throw CLI::ExcludesError("--resume", "--continue");
      if (line.config.empty()) throw CLI::RequiredError("--config FILE with --continue");
    }
    if (line.memory_per_rank && !line.dry_run) throw CLI::RequiredError("--memory-per-rank: --dry-run");
    if (line.quiet && line.verbose) throw CLI::ExcludesError("--quiet", "--verbose");
  }
  if (line.command == Command::run || line.command == Command::probe) {
    const bool printable = std::none_of(line.label.begin(), line.label.end(),
                                        [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (!printable || line.label.size() > 100)
      throw CLI::ValidationError("--label", "must be one line of at most 100 bytes");
  }
}

// The options of a sweep may stand before a command's name as well as behind it; there they would reach
// nobody, or only one of two that are equal would count.
void check_sides(const CLI::App& app, const CLI::App& command) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0) continue;
    const std::string name = option->get_name();
    if (command.get_name() != "run") {
      throw CLI::ValidationError(
          name,
          fmt::format(
              "comes before {0}, which would ignore it; options of {0} come after it: tpbench {0} --help",
              command.get_name()));
    }
    const CLI::Option* twin = command.get_option_no_throw(name);
    if (twin != nullptr && twin->count() > 0)
      throw CLI::ValidationError(name, "is given before run and after it; give it once");
  }
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// What nothing takes.
std::string unknown_word(const CLI::App& app, const std::string& word) {
  const auto commands = app.get_subcommands();
  const CLI::App& taker = commands.empty() ? app : *commands.front();
  if (word.starts_with('-')) {
    const std::string name = word.substr(0, word.find('='));
    return fmt::format("{}: is not an option of {}{}", word, taker.get_name(),
                       did_you_mean(name, option_names(taker)));
  }
  if (!commands.empty()) return fmt::format("{}: unexpected argument \"{}\"", taker.get_name(), word);
  const std::vector<std::string> names = command_names(app);
  return fmt::format("\"{}\" is not a command{}; commands are {}", word, did_you_mean(word, names),
                     join_words(names));
}

// The first that nothing takes. Its value may have been taken for something else, of which there is then one
// too many.
std::optional<std::string> unknown_option(const CLI::App& app) {
  for (const std::string& word : app.remaining(/*recurse=*/true)) {
    if (word.starts_with('-')) return word;
  }
  return std::nullopt;
}

std::string version_text() {
  const BuildInfo& build = build_info();
  return fmt::format("tpbench {} ({}, {}, {})", build.version, build.git_revision, build.build_type,
                     build.compiler);
}

// "--config: At Most 1 required but received 2" and "--config: 1 required FILE missing" are the parser's
// words.
std::string wrong_count(const std::string& parsers_words) {
  const std::string option = parsers_words.substr(0, parsers_words.find(':'));
  if (parsers_words.find("At Most") != std::string::npos) return option + ": is given more than once";
  if (parsers_words.find("missing") != std::string::npos) return option + ": needs a value";
  return parsers_words;
}

ParsedCommandLine refused(const std::string& message, bool speaks) {
  if (speaks) std::cerr << "tpbench: error: " << message << "\nRun tpbench --help for the options.\n";
  return {std::nullopt, static_cast<int>(ExitStatus::bad_usage)};
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv, bool speaks) {
  CommandLine line;
  Shorthands shorthands;
  CLI::App app("Benchmarks the tensor-parallel layers of a transformer on real ranks and a real fabric.",
               "tpbench");
  app.set_version_flag("--version", version_text());
  app.require_subcommand(0, 1);
  add_run_options(app, line, shorthands);

  CLI::App* run = app.add_subcommand("run", "Run a sweep (the default)");
  add_run_options(*run, line, shorthands);
  CLI::App* validate = app.add_subcommand("validate", "Check a sweep file and run nothing");
  validate->add_option("sweep", line.config, "Sweep file; -: standard input")->required()->type_name("FILE");
  validate->add_option("--set", line.overrides, "Override a key of the sweep file; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  CLI::App* models = app.add_subcommand(
      "models", "List the models whose shapes a sweep can take by name, or show one's own file");
  models->add_option("file", line.config, "A model's config.json: shows what is understood of it")
      ->type_name("FILE");
  models->add_flag("--json", line.json, "As JSON");
  CLI::App* info = app.add_subcommand(
      "info", "Show machine, libraries, backends and binding, and what is wrong with them");
  info->add_flag("--json", line.json, "As JSON");
  add_kernel_option(*info, line);
  CLI::App* selfcheck = app.add_subcommand("selfcheck", "Measure what tpbench itself costs (under mpirun)");
  selfcheck->add_flag("--json", line.json, "As JSON");
  selfcheck
      ->add_option("--backend", line.backend, "Backend whose empty step and clock are measured [the host's]")
      ->type_name("NAME");
  selfcheck
      ->add_option(
          "--threads-per-rank", line.threads_per_rank,
          "Threads of the product that is timed beside ranks at rest [cores of the node / its ranks]")
      ->check(CLI::Range(1, 4096, "").description(""))
      ->type_name("N");
  add_kernel_option(*selfcheck, line);
  CLI::App* probe = app.add_subcommand(
      "probe", "Measure what a message costs by its size, inside hosts and between them (under mpirun)");
  add_probe_options(*probe, line);
  CLI::App* compare =
      app.add_subcommand("compare", "Compare result folders with a baseline: what differs, what is noise");
  add_compare_options(*compare, line);
  CLI::App* export_results = app.add_subcommand("export", "Export a result folder in another format");
  add_export_options(*export_results, line);
  CLI::App* report = app.add_subcommand("report", "Write one page of charts, tables and verdicts (HTML)");
  add_report_options(*report, line);
  CLI::App* predict = app.add_subcommand(
      "predict", "Predict what was not measured from what was, with its error: degrees, shapes, networks");
  add_predict_options(*predict, line.predict);
  CLI::App* plan = app.add_subcommand(
      "plan", "Which splits of a whole model fit, and what they would take, from what was measured");
  add_plan_options(*plan, line.plan);
  std::optional<Description> form;
  CLI::App* description = app.add_subcommand("describe", "Write the manual page, or completion for a shell");
  description
      ->add_option_function<std::string>(
          "form", [&form](const std::string& name) { form = named<Description>(name, "describe"); },
          "man, bash or zsh")
      ->required()
      ->type_name("FORM");
  app.footer(examples_of(""));
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    command->footer(examples_of(command->get_name()));

  try {
    app.parse(argc, argv);
    if (validate->parsed()) line.command = Command::validate;
    if (models->parsed()) line.command = Command::models;
    if (info->parsed()) line.command = Command::info;
    if (selfcheck->parsed()) line.command = Command::selfcheck;
    if (probe->parsed()) line.command = Command::probe;
    if (compare->parsed()) line.command = Command::compare;
    if (export_results->parsed()) line.command = Command::export_results;
    if (report->parsed()) line.command = Command::report;
    if (predict->parsed()) line.command = Command::predict;
    if (plan->parsed()) line.command = Command::plan;
    for (const CLI::App* command : app.get_subcommands()) check_sides(app, *command);
    if (form) line.description = describe(app, *form);
    if (form) line.command = Command::describe;
    spell_out(line, shorthands);
    check_together(line);
  } catch (const CLI::Success& wanted) {  // --help, --version
    // The help of everything is no answer to `tpbench plan --help`.
    const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
    if (!unknown.empty() && !unknown.front().starts_with('-'))
      return refused(unknown_word(app, unknown.front()), speaks);
    return {std::nullopt, speaks ? app.exit(wanted) : 0};
  } catch (const CLI::ExtrasError&) {
    return refused(unknown_word(app, app.remaining(/*recurse=*/true).front()), speaks);
  } catch (const CLI::ArgumentMismatch& error) {
    if (const auto option = unknown_option(app)) return refused(unknown_word(app, *option), speaks);
    return refused(wrong_count(error.what()), speaks);
  } catch (const CLI::RequiredError& error) {
    if (const auto option = unknown_option(app)) return refused(unknown_word(app, *option), speaks);
    return refused(error.what(), speaks);
  } catch (const CLI::ParseError& error) {
    return refused(error.what(), speaks);
  }
  for (int i = 0; i < argc; ++i) line.typed += (i == 0 ? "" : " ") + shell_quoted(argv[i]);
  return {line, 0};
}

}  // namespace tpbench
