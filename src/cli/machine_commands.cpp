#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/build_info.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "bench/devices.hpp"
#include "bench/selfcheck.hpp"
#include "cli/commands.hpp"
#include "comm/mpi_info.hpp"
#include "compute/backend.hpp"
#include "compute/products.hpp"
#include "compute/reference_work.hpp"
#include "environment/environment.hpp"
#include "environment/host.hpp"
#include "environment/launch_facts.hpp"

namespace tpbench {
namespace {

// One line per fact, nested facts indented: the same data as the JSON, for eyes.
void print_facts(const Json& facts, int depth) {
  for (const auto& [key, value] : facts.items()) {
    const std::string indent(static_cast<std::size_t>(2 * depth), ' ');
    const bool leaf =
        value.is_primitive() || (value.is_array() && (value.empty() || value.front().is_primitive()));
    if (value.is_null()) continue;
    if (leaf) {
      fmt::print("{}{}: {}\n", indent, key, value.is_string() ? value.get<std::string>() : value.dump());
    } else {
      fmt::print("{}{}:\n", indent, key);
      print_facts(value, depth + 1);
    }
  }
}

EnvironmentInputs here(const Launch& launch) {
  const HostFacts host = read_host_facts();
  EnvironmentInputs inputs;
  inputs.started_at = utc_timestamp();
  inputs.mpi = describe_mpi();
  const std::vector<std::string> names = backend_names();
  inputs.backends = describe_backends({names.begin(), names.end()});
  for (const LibraryEntry& library : all_libraries())
    inputs.backends[std::string(library.described_as)] = library.describe();
  inputs.ranks = {
      {.world_rank = 0,
       .host = host_name(),
       .pid = getpid(),
       .cpus = allowed_cpus(),
       .threads = default_threads(core_count(), 1, usable_cores(allowed_cpus(), 1), host.cpu_quota)}};
  inputs.openmp_threads = inputs.ranks.front().threads;
  inputs.blas_problem = why_blas_cannot_start(static_cast<int>(inputs.ranks.front().threads));
  if (!inputs.blas_problem) inputs.ranks.front().rates = measure_core_rates();
  inputs.hosts = {describe_this_host(host)};
  inputs.launcher = launch.launcher;
  if (launch.size) inputs.launcher_size = *launch.size;
  return inputs;
}

}  // namespace

Session start_session(const Launch& launch, const CommandLine& line) {
  if (const auto problem = why_mpi_cannot_start(launch, line.typed, mpi_speaks_pmi()))
    throw EnvironmentError(*problem);
  return Session(launch.launcher == "none");
}

ExitStatus info_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  const EnvironmentInputs inputs = here(launch);
  const std::vector<std::string> problems = environment_problems(inputs);
  Json facts = describe_environment(inputs);
  facts["backends"] = backend_names();
  if (line.json) {
    facts["problems"] = problems;
    fmt::print("{}\n", facts.dump(2));
    return ExitStatus::ok;
  }
  print_facts(facts, 0);
  fmt::print("\n{}\n", problems.empty() ? "Nothing is wrong with it, as far as can be told."
                                        : "What is wrong with it:");
  for (const std::string& problem : problems) fmt::print("  - {}\n", problem);
  return ExitStatus::ok;
}

ExitStatus selfcheck_command(const CommandLine& line, const Launch& launch) {
  const std::string name = line.backend.empty() ? host_backend() : line.backend;
  if (find_backend(name) == nullptr)
    throw UsageError(fmt::format("--backend: {}: must be {}", name, join_words(backend_names(), " or ")));
  Session session = start_session(launch, line);
  if (const auto problem = why_launch_cannot_run(launch, session.world().size(), 1, "tpbench selfcheck")) {
    throw EnvironmentError(*problem);
  }
  open_backends({name}, session);
  ReferenceWork reference = take_reference_work(session);
  const LaunchFacts facts = gather_launch_facts(session, reference);
  const auto backend =
      find_backend(name)->make({.backend = name, .threads = static_cast<int>(facts.threads_per_rank)});
  const auto threads = static_cast<int>(line.threads_per_rank.value_or(facts.threads_per_rank));
  const SelfCheck check = run_selfcheck(session, facts, *backend, threads);
  if (session.world().rank() == 0) {
    print_results(line.json ? selfcheck_to_json(check, session.world().size()).dump(2) + '\n'
                            : selfcheck_to_text(check, session.world().size()),
                  "");
  }
  return ExitStatus::ok;
}

}  // namespace tpbench
