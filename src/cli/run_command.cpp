#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <set>
#include <sstream>

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "bench/case_cost.hpp"
#include "bench/guard.hpp"
#include "bench/idle_ranks.hpp"
#include "bench/process_memory.hpp"
#include "bench/sweep_runner.hpp"
#include "bench/why_skipped.hpp"
#include "cli/commands.hpp"
#include "comm/agreement.hpp"
#include "comm/mpi_info.hpp"
#include "compute/backend.hpp"
#include "compute/products.hpp"
#include "compute/reference_work.hpp"
#include "environment/environment.hpp"
#include "environment/launch_facts.hpp"
#include "measure/clock.hpp"
#include "report/csv.hpp"
#include "report/plan.hpp"
#include "result/folder.hpp"

namespace tpbench {
namespace {

std::filesystem::path sweep_file(const CommandLine& line) {
  return line.config.empty() ? std::filesystem::path(line.resume) / "sweep.json"
                             : std::filesystem::path(line.config);
}

std::int64_t most_ranks(const std::vector<Case>& cases) {
  std::int64_t ranks = 1;
  for (const Case& point : cases) ranks = std::max(ranks, point.layout.ranks());
  return ranks;
}

struct Selected {
  Sweep sweep;
  std::vector<std::string> filters;
  std::vector<Case> cases;
};

Selected select(Sweep sweep, std::vector<std::string> filters) {
  std::vector<Case> cases = filter_cases(sweep.cases, filters);
  return {std::move(sweep), std::move(filters), std::move(cases)};
}

// --continue is --resume where there is something to go on with, and else --output.
CommandLine settled(CommandLine line) {
  if (line.continued.empty()) return line;
  const bool begun = std::filesystem::exists(std::filesystem::path(line.continued) / "sweep.json");
  (begun ? line.resume : line.output) = line.continued;
  return line;
}

// To go on means to go on with the same cases, unless something else is asked for.
std::vector<std::string> filters_of(const CommandLine& line) {
  if (line.filters == std::vector<std::string>{"all"}) return {};
  if (!line.filters.empty() || line.resume.empty()) return line.filters;
  std::vector<std::string> filters = recorded_filters(line.resume);
  if (!filters.empty()) {
    std::string text;
    for (const std::string& filter : filters) text += " --filter " + shell_quoted(filter);
    log::info(fmt::format("only the cases of the earlier run:{} (--filter all runs every case)", text));
  }
  return filters;
}

// Only the first process of a launch reads the file: the others may be on hosts that do not have it.
Selected read_sweep(const CommandLine& line) {
  if (!line.resume.empty()) check_can_be_resumed(line.resume);
  Sweep sweep = load_sweep(sweep_file(line), line.overrides, built_in_availability());
  if (!line.resume.empty()) check_same_sweep(line.resume, sweep.resolved);
  Selected selected = select(std::move(sweep), filters_of(line));
  for (const std::string& remark : selected.sweep.remarks) log::warning(remark);
  return selected;
}

// What rank 0 makes of the command line when it has looked at the files.
struct Asked {
  CommandLine line;
  Selected selected;
};

Asked read_files(const CommandLine& typed) {
  CommandLine line = settled(typed);
  Selected selected = read_sweep(line);
  return {std::move(line), std::move(selected)};
}

Selected share_sweep(std::optional<Selected> mine, const Control& world) {
  Json shared = Json::object();
  if (mine) {
    shared["sweep"] = mine->sweep.resolved;
    for (const Case& point : mine->cases) shared["cases"].push_back(case_to_json(point));
  }
  const std::string text = world.broadcast(mine ? shared.dump() : "");
  if (mine) return std::move(*mine);
  const Json received = Json::parse(text);
  std::vector<Case> cases;
  for (const Json& point : received.at("cases")) cases.push_back(case_from_json(point));
  return {checked_sweep(received.at("sweep"), cases), {}, cases};
}

ResultFolder new_folder(const CommandLine& line, const Sweep& sweep) {
  if (!line.output.empty()) return ResultFolder::create(line.output);
  const std::time_t now = std::time(nullptr);
  // Two sweeps may be started in one second.
  return ResultFolder::create_numbered(
      fmt::format("results/{}-{:%Y%m%d-%H%M%S}", sweep.name, fmt::gmtime(now)));
}

// A label belongs to a folder: two names for one set of results would be two fabrics in one comparison.
std::string label_of(const CommandLine& line) {
  if (line.resume.empty()) return line.label;
  const std::optional<std::string> before = recorded_label(line.resume);
  if (!before) return line.label;
  if (!line.label.empty() && line.label != *before) {
    throw UsageError(fmt::format(
        "--label {}: the folder {} holds results labelled \"{}\"; use another --output for another fabric",
        line.label, line.resume, *before));
  }
  return *before;
}

std::set<std::string> backends_of(const std::vector<Case>& cases) {
  std::set<std::string> names;
  for (const Case& point : cases) names.insert(point.backend);
  return names;
}

void say_devices(const std::vector<Json>& devices) {
  for (const Json& device : devices) {
    log::info(fmt::format("rank {} on GPU {} of {}: {}, {}", device.value("rank", 0),
                          device.value("index", 0), device.value("host", ""), device.value("name", ""),
                          device.value("pci_bus_id", "")));
  }
}

EnvironmentInputs launch_environment(const std::string& label, const Launch& launch, const LaunchFacts& facts,
                                     const std::vector<Json>& devices, const Sweep& sweep) {
  EnvironmentInputs inputs = launch_inputs(launch, facts);
  inputs.label = label;
  // Those of the host's libraries also where only devices compute: references and checks run there.
  std::set<std::string> backends = backends_of(sweep.cases);
  backends.insert(host_backend());
  inputs.backends = describe_backends(backends);
  for (const Case& point : sweep.cases) {
    const LibraryEntry* library = find_library(point.library.value_or(""));
    if (point.library == "onednn")
      inputs.openmp_threads =
          std::max(inputs.openmp_threads, point.threads_per_rank.value_or(facts.threads_per_rank));
    if (library != nullptr && !inputs.backends.contains(std::string(library->described_as)))
      inputs.backends[std::string(library->described_as)] = library->describe();
  }
  for (const std::string& name : backends) {
    const BackendEntry* entry = find_backend(name);
    if (entry->on_device) inputs.backends[std::string(entry->described_as)]["ranks"] = devices;
  }
  return inputs;
}

// Rank 0's files, opened before the first case runs.
struct Output {
  ResultFolder folder;
  std::string environment_file;
  std::string label;
};

Output open_output(const CommandLine& line, const Launch& launch, const LaunchFacts& facts,
                   const std::vector<Json>& devices, const Selected& selected) {
  const Sweep& sweep = selected.sweep;
  const std::string label = label_of(line);
  ResultFolder folder =
      line.resume.empty() ? new_folder(line, sweep) : ResultFolder::resume(line.resume, sweep.resolved);
  // Before the sweep, which is what makes a folder one that can be resumed.
  folder.write_run(line.typed, selected.filters);
  if (line.resume.empty()) folder.write_sweep(sweep.resolved);
  const EnvironmentInputs environment = launch_environment(label, launch, facts, devices, sweep);
  for (const std::string& problem : onednn_problems(environment)) log::warning(problem);
  std::string environment_file = folder.write_environment(describe_environment(environment));
  return {std::move(folder), std::move(environment_file), label};
}

void check_launch(const Launch& launch, long world_size, const std::vector<Case>& cases,
                  const CommandLine& line) {
  if (const auto problem =
          why_launch_cannot_run(launch, world_size, static_cast<long>(most_ranks(cases)), line.typed)) {
    throw EnvironmentError(*problem);
  }
}

// Where the wall time of the run went: what is not measuring is this tool's cost.
void say_where_time_went(const std::vector<Record>& records, double wall_s) {
  double measuring_s = 0;
  for (const Record& record : records) {
    for (const char* phase : {"verification", "warm_up", "sampling"}) {
      const auto found = record.phases_s.find(phase);
      if (found != record.phases_s.end()) measuring_s += found->second;
    }
  }
  log::debug(fmt::format("{} of {} went into verification, warm-up and sampling",
                         format_percent(measuring_s / wall_s), format_duration(wall_s)));
}

// The selected records that ended so.
std::vector<const Record*> with_status(Status status, const std::vector<Record>& records,
                                       const std::vector<Case>& cases) {
  std::set<std::string> selected;
  for (const Case& point : cases) selected.insert(case_id(point));
  std::vector<const Record*> found;
  for (const Record& record : records) {
    if (record.status == status && selected.contains(record.id)) found.push_back(&record);
  }
  return found;
}

// Said also to who wants neither progress nor a table: the exit status alone tells nobody what to look at.
void say_what_is_missing(const std::vector<const Record*>& failed, const std::vector<const Record*>& skipped,
                         std::size_t cases) {
  const auto why = [](const Record& record) {
    return fmt::format("{}: {}", record.id, record.reason.value_or("no reason is recorded"));
  };
  const auto plural = [](std::size_t count) { return count == 1 ? "" : "s"; };
  if (!failed.empty()) {
    log::error(fmt::format("{} of {} case{} failed: {}{}", failed.size(), cases, plural(cases),
                           why(*failed[0]),
                           failed.size() > 1 ? fmt::format(" (and {} more)", failed.size() - 1) : ""));
  }
  if (cases > 0 && skipped.size() == cases) {
    log::warning(fmt::format("nothing was measured: {} skipped: {}",
                             cases == 1 ? "the only case was" : fmt::format("all {} cases were", cases),
                             why(*skipped[0])));
  }
}

// A disk that fills up is no reason to begin again.
std::vector<Record> run_to_the_end(const SweepRun& run, Session& session, const LaunchFacts& facts,
                                   const Parts& parts) {
  try {
    return run_sweep(run, session, facts, parts);
  } catch (const EnvironmentError& error) {
    const std::string words = error.what();  // none where rank 0 has said them
    throw EnvironmentError(words.empty() ? run.how_to_resume
                                         : fmt::format("{}\n{}", words, run.how_to_resume));
  }
}

ExitStatus run_in_session(const CommandLine& typed, const Launch& launch, const Parts& parts,
                          Session& session, std::optional<Asked> asked) {
  const Stopwatch stopwatch;
  const Control& world = session.world();
  check_launch(launch, world.size(), {}, typed);
  // Until the sweep has its own. A folder with many records takes its time to be read.
  constexpr double kStartLimitS = 600;
  std::optional<Guard> guard(std::in_place, guard_options(session));
  guard->watch("the start of the run", std::max(kStartLimitS, typed.watchdog_s));
  // What rank 0 finds wrong ends all: where a launcher leaves ranks to themselves nothing else would.
  on_first_rank(world, [&] {
    if (!asked) asked = read_files(typed);
  });
  const CommandLine& line = asked ? asked->line : typed;
  const bool resume = world.broadcast(line.resume.empty() ? 0 : 1) == 1;
  const Selected selected =
      share_sweep(asked ? std::optional(std::move(asked->selected)) : std::nullopt, world);
  keep_heap_small();
  ReferenceWork reference = take_reference_work(session);
  const LaunchFacts facts = gather_launch_facts(session, reference);

  std::optional<Output> output;
  SweepRun run(selected.sweep, selected.cases);
  // Without BLAS there is no product to time.
  if (!facts.blas_problem) run.reference = &reference;
  run.devices = open_backends(backends_of(selected.cases), session);
  const std::vector<Json> devices = describe_devices(run.devices, session);
  on_first_rank(world, [&] {
    output.emplace(open_output(line, launch, facts, devices, selected));
    const std::string path = output->folder.path().string();
    log::info(fmt::format("{} on {}, {} each; results in {}", counted(selected.cases.size(), "case"),
                          counted(static_cast<std::size_t>(world.size()), "rank"),
                          counted(static_cast<std::size_t>(facts.threads_per_rank), "BLAS thread"), path));
    say_devices(devices);
    if (const auto idle = why_ranks_idle(selected.cases, session.host_of(), run.devices)) log::info(*idle);
    run.folder = &output->folder;
    run.environment_file = output->environment_file;
    run.folder_path = std::filesystem::absolute(output->folder.path());
    run.label = output->label;
    run.how_to_resume =
        fmt::format("finished records are kept in {}; continue with --resume {}", path, shell_quoted(path));
  });
  run.how_to_resume = world.broadcast(run.how_to_resume);  // whoever lives may have to say it
  run.folder_path = world.broadcast(run.folder_path);
  run.resume = resume;
  run.quiet = line.quiet;
  run.watchdog_s = line.watchdog_s;
  run.summarise = [](const std::vector<Record>& records) { return render_csv(records); };
  guard.reset();
  const std::vector<Record> records = run_to_the_end(run, session, facts, parts);

  std::int64_t failed = 0;
  on_first_rank(world, [&] {
    const std::string path = output->folder.path().string();
    const auto failures = with_status(Status::failed, records, selected.cases);
    failed = static_cast<std::int64_t>(failures.size());
    say_what_is_missing(failures, with_status(Status::skipped, records, selected.cases),
                        selected.cases.size());
    say_where_time_went(records, stopwatch.elapsed_s());
    print_results(render(line.format, records, selected.sweep.efficiency_floor), "; they are in " + path);
    log::info(fmt::format("records, environment and summary.csv are in {}", path));
  });
  return world.broadcast(failed) > 0 ? ExitStatus::case_failed : ExitStatus::ok;
}

// What a dry run may look at: the folder that a run would go on with, or write to.
std::vector<Record> earlier_records(const CommandLine& line) {
  const std::filesystem::path folder = line.resume.empty() ? line.output : line.resume;
  if (folder.empty() || !std::filesystem::exists(folder / "records")) return {};
  return read_records(folder);
}

}  // namespace

ExitStatus run_command(const CommandLine& line, const Launch& launch, const Parts& parts) {
  if (line.dry_run) {
    if (launch.rank.value_or(0) == 0) {
      const Asked asked = read_files(line);
      const Selected& selected = asked.selected;
      print_results(render_plan(
                        line.format, selected.cases, selected.sweep.measure, why_never_run,
                        [](const Case& point, const Layout& layout) { return cost_of(point, layout); },
                        line.memory_per_rank, earlier_records(asked.line)),
                    "");
    }
    return ExitStatus::ok;
  }
  std::optional<Asked> asked;
  if (launch.launcher == "none") {
    asked = read_files(line);
    check_launch(launch, 1, asked->selected.cases, line);
  }
  Session session = start_session(launch, line);
  try {
    return run_in_session(line, launch, parts, session, std::move(asked));
  } catch (const UsageError&) {
    throw;  // all ranks heard of it and leave together
  } catch (const EnvironmentError&) {
    throw;
  } catch (const std::exception& error) {
    // The other ranks wait for this one where nothing can reach them.
    log::error(error.what());
    abort_job(static_cast<int>(ExitStatus::environment));
  }
}

ExitStatus validate_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  const Sweep sweep = load_sweep(line.config, line.overrides, built_in_availability());
  for (const std::string& remark : sweep.remarks) log::warning(remark);
  fmt::print("{}: valid, {}, up to {}\n", line.config, counted(sweep.cases.size(), "case"),
             counted(static_cast<std::size_t>(most_ranks(sweep.cases)), "rank"));
  return ExitStatus::ok;
}

}  // namespace tpbench
