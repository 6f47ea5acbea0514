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
#include "bench/idle_ranks.hpp"
#include "bench/process_memory.hpp"
#include "bench/sweep_runner.hpp"
#include "bench/why_skipped.hpp"
#include "cli/commands.hpp"
#include "comm/mpi_info.hpp"
#include "compute/backend.hpp"
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

std::int64_t largest_degree(const std::vector<Case>& cases) {
  std::int64_t degree = 1;
  for (const Case& point : cases) degree = std::max(degree, point.tp_degree);
  return degree;
}

struct Selected {
  Sweep sweep;
  std::vector<Case> cases;
};

Selected select(Sweep sweep, const CommandLine& line) {
  std::vector<Case> cases = filter_cases(sweep.cases, line.filters);
  return {std::move(sweep), std::move(cases)};
}

// Only the first process of a launch reads the file: the others may be on hosts that do not have it.
Selected read_sweep(const CommandLine& line) {
  Selected selected = select(load_sweep(sweep_file(line), line.overrides, built_in_availability()), line);
  for (const std::string& remark : selected.sweep.remarks) log::warning(remark);
  return selected;
}

Selected share_sweep(std::optional<Selected> mine, const CommandLine& line, const Control& world) {
  const std::string text = world.broadcast(mine ? mine->sweep.resolved.dump() : "");
  if (mine) return std::move(*mine);
  return select(parse_sweep(text, "the sweep of rank 0", {}, built_in_availability()), line);
}

std::filesystem::path new_folder(const CommandLine& line, const Sweep& sweep) {
  if (!line.output.empty()) return line.output;
  const std::time_t now = std::time(nullptr);
  return std::filesystem::path("results") / fmt::format("{}-{:%Y%m%d-%H%M%S}", sweep.name, fmt::gmtime(now));
}

// A label belongs to a folder: two names for one set of results would be two fabrics in one comparison.
std::string label_of(const CommandLine& line) {
  if (line.resume.empty()) return line.label;
  const std::vector<Record> records = read_records(line.resume);
  if (records.empty()) return line.label;
  const std::string& before = records.front().label;
  if (!line.label.empty() && line.label != before) {
    throw UsageError(fmt::format(
        "--label {}: the folder {} holds results labelled \"{}\"; use another --output for another fabric",
        line.label, line.resume, before));
  }
  return before;
}

std::set<std::string> backends_of(const std::vector<Case>& cases) {
  std::set<std::string> names;
  for (const Case& point : cases) names.insert(point.backend);
  return names;
}

// What the ranks have taken of devices, beside what the library says of itself.
Json describe_gpu(const Sweep& sweep, const std::vector<Json>& devices) {
  if (!backends_of(sweep.cases).contains("cuda")) return nullptr;
  Json gpu = find_backend("cuda")->describe();
  gpu["ranks"] = devices;
  return gpu;
}

void say_devices(const std::vector<Json>& devices) {
  for (const Json& device : devices) {
    log::info(fmt::format("rank {} on GPU {} of {}: {}, {}", device.value("rank", 0),
                          device.value("index", 0), device.value("host", ""), device.value("name", ""),
                          device.value("pci_bus_id", "")));
  }
}

Json describe_launch(const std::string& label, const Launch& launch, const LaunchFacts& facts,
                     const std::vector<Json>& devices, const Sweep& sweep) {
  EnvironmentInputs inputs;
  inputs.label = label;
  inputs.started_at = utc_timestamp();
  inputs.mpi = describe_mpi();
  inputs.blas = find_backend("cpu")->describe();
  inputs.gpu = describe_gpu(sweep, devices);
  inputs.ranks = facts.ranks;
  inputs.hosts = facts.hosts;
  inputs.components = facts.components;
  inputs.launcher = launch.launcher;
  if (launch.size) inputs.launcher_size = *launch.size;
  inputs.noise = facts.noise;
  return describe_environment(inputs);
}

// Rank 0's files, opened before the first case runs.
struct Output {
  ResultFolder folder;
  std::string environment_file;
  std::string label;
};

Output open_output(const CommandLine& line, const Launch& launch, const LaunchFacts& facts,
                   const std::vector<Json>& devices, const Sweep& sweep) {
  const std::string label = label_of(line);
  ResultFolder folder = line.resume.empty() ? ResultFolder::create(new_folder(line, sweep))
                                            : ResultFolder::resume(line.resume, sweep.resolved);
  if (line.resume.empty()) folder.write_sweep(sweep.resolved);
  std::string environment_file =
      folder.write_environment(describe_launch(label, launch, facts, devices, sweep));
  return {std::move(folder), std::move(environment_file), label};
}

// Runs `work` on rank 0; what it throws is thrown on every rank, so that all leave together.
template <typename Work>
void on_first_rank(const Control& world, Work&& work) {
  std::optional<std::string> usage, environment;
  if (world.rank() == 0) {
    try {
      work();
    } catch (const UsageError& error) {
      usage = error.what();
    } catch (const std::exception& error) {
      environment = error.what();
    }
  }
  if (const auto agreed = world.agree(usage)) throw UsageError(*agreed);
  if (const auto agreed = world.agree(environment)) throw EnvironmentError(*agreed);
}

void check_launch(const Launch& launch, long world_size, const std::vector<Case>& cases,
                  const CommandLine& line) {
  if (const auto problem =
          why_launch_cannot_run(launch, world_size, static_cast<long>(largest_degree(cases)), line.typed)) {
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

std::int64_t count_failed(const std::vector<Record>& records, const std::vector<Case>& cases) {
  std::set<std::string> selected;
  for (const Case& point : cases) selected.insert(case_id(point));
  return std::count_if(records.begin(), records.end(), [&](const Record& record) {
    return record.status == Status::failed && selected.contains(record.id);
  });
}

ExitStatus run_in_session(const CommandLine& line, const Launch& launch, const Parts& parts, Session& session,
                          std::optional<Selected> mine) {
  const Stopwatch stopwatch;
  const Control& world = session.world();
  check_launch(launch, world.size(), mine ? mine->cases : std::vector<Case>(), line);
  const Selected selected = share_sweep(std::move(mine), line, world);
  keep_heap_small();
  const LaunchFacts facts = gather_launch_facts(session);

  std::optional<Output> output;
  SweepRun run(selected.sweep, selected.cases);
  run.devices = open_backends(backends_of(selected.cases), session);
  const std::vector<Json> devices = describe_devices(run.devices, session);
  on_first_rank(world, [&] {
    output.emplace(open_output(line, launch, facts, devices, selected.sweep));
    const std::string path = output->folder.path().string();
    log::info(fmt::format("{} on {}, {} each; results in {}", counted(selected.cases.size(), "case"),
                          counted(static_cast<std::size_t>(world.size()), "rank"),
                          counted(static_cast<std::size_t>(facts.threads_per_rank), "BLAS thread"), path));
    say_devices(devices);
    if (const auto idle = why_ranks_idle(selected.cases, session.host_of(), run.devices)) log::info(*idle);
    run.folder = &output->folder;
    run.environment_file = output->environment_file;
    run.label = output->label;
    run.how_to_resume = fmt::format("finished records stay in {}; go on with --resume {}", path, path);
  });
  run.how_to_resume = world.broadcast(run.how_to_resume);  // whoever lives may have to say it
  run.resume = !line.resume.empty();
  run.quiet = line.quiet;
  run.watchdog_s = line.watchdog_s;
  run.summarise = [](const std::vector<Record>& records) { return render_csv(records); };
  const std::vector<Record> records = run_sweep(run, session, facts, parts);

  std::int64_t failed = 0;
  on_first_rank(world, [&] {
    const std::string path = output->folder.path().string();
    failed = count_failed(records, selected.cases);
    say_where_time_went(records, stopwatch.elapsed_s());
    print_results(render(line.format, records, selected.sweep.efficiency_floor), "; they are in " + path);
    log::info(fmt::format("records, environment and summary.csv are in {}", path));
  });
  return world.broadcast(failed) > 0 ? ExitStatus::case_failed : ExitStatus::ok;
}

}  // namespace

ExitStatus run_command(const CommandLine& line, const Launch& launch, const Parts& parts) {
  const bool first = launch.rank.value_or(0) == 0;
  std::optional<Selected> selected;
  if (first) selected = read_sweep(line);
  if (line.dry_run) {
    if (first) print_results(render_plan(line.format, selected->cases, why_never_run), "");
    return ExitStatus::ok;
  }
  if (launch.launcher == "none") check_launch(launch, 1, selected->cases, line);
  Session session(launch.launcher == "none");
  try {
    return run_in_session(line, launch, parts, session, std::move(selected));
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
             counted(static_cast<std::size_t>(largest_degree(sweep.cases)), "rank"));
  return ExitStatus::ok;
}

}  // namespace tpbench
