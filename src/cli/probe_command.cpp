#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "bench/probe.hpp"
#include "cli/commands.hpp"
#include "comm/agreement.hpp"
#include "comm/mpi_info.hpp"
#include "compute/backend.hpp"
#include "compute/reference_work.hpp"
#include "environment/launch_facts.hpp"
#include "measure/clock.hpp"
#include "report/probe_table.hpp"
#include "result/atomic_file.hpp"

namespace tpbench {
namespace {

ProbeSettings settings_of(const CommandLine& line) {
  ProbeSettings settings;
  settings.max_bytes = line.max_bytes;
  settings.quick = line.quick;
  settings.watchdog_s = line.watchdog_s;
  return settings;
}

// A message has two ends.
void check_launch(const Launch& launch, long world_size, const std::string& typed) {
  if (const auto problem = why_launch_cannot_run(launch, world_size, 1, typed))
    throw EnvironmentError(*problem);
  if (world_size > 1) return;
  throw EnvironmentError(fmt::format(
      "probe times messages between ranks and this launch has one; type: {} {}", start_to_type(2), typed));
}

// Found before minutes of measuring, where it can be.
void check_output(const std::string& output) {
  if (output.empty()) return;
  if (std::filesystem::is_directory(output))
    throw UsageError({Fault{"--output " + output, "", "", "is a folder; name a file"}});
  const std::filesystem::path folder = std::filesystem::path(output).parent_path();
  if (access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) != 0)
    throw EnvironmentError(fmt::format("--output {}: cannot write there: {}", output, std::strerror(errno)));
}

EnvironmentInputs inputs_of(const CommandLine& line, const Launch& launch, const LaunchFacts& facts) {
  EnvironmentInputs inputs = launch_inputs(launch, facts);
  inputs.label = line.label;
  inputs.backends = describe_backends({host_backend()});
  return inputs;
}

Json document_of(const ProbeSettings& settings, const ProbePlan& plan, const EnvironmentInputs& inputs,
                 const std::vector<ProbedPath>& paths, double duration_s) {
  Json list = Json::array();
  for (const ProbedPath& path : paths) list.push_back(probed_path_to_json(path));
  return {{"schema", "tpbench.probe/2"},
          {"label", inputs.label},
          {"started_at", inputs.started_at},
          {"duration_s", duration_s},
          {"settings", probe_settings_to_json(settings)},
          {"selection",
           {{"rule", kProbePlanRule},
            {"hosts_possible", plan.hosts_possible},
            {"hosts_probed", plan.hosts_probed},
            {"pairs_possible", plan.pairs_possible},
            {"pairs_probed", plan.pairs_probed}}},
          {"paths", list},
          {"environment", describe_environment(inputs)}};
}

std::string environment_lines(const EnvironmentInputs& inputs, const ProbePlan& plan) {
  std::string text = fmt::format(
      "{} ranks on {} host{}, {} {}, launched by {}\n", inputs.ranks.size(), inputs.hosts.size(),
      inputs.hosts.size() == 1 ? "" : "s",
      optional_from<std::string>(inputs.mpi, "implementation").value_or("MPI"),
      optional_from<std::string>(inputs.mpi, "version").value_or("of unknown version"), inputs.launcher);
  if (plan.pairs_probed < plan.pairs_possible || plan.hosts_probed < plan.hosts_possible)
    text += fmt::format("Probed {} of {} hosts and {} of {} pairs of hosts, evenly spaced\n",
                        plan.hosts_probed, plan.hosts_possible, plan.pairs_probed, plan.pairs_possible);
  for (const std::string& problem : environment_problems(inputs)) text += "Note: " + problem + '\n';
  return text + '\n';
}

ExitStatus probe_in_session(const CommandLine& line, const Launch& launch, const Parts& parts,
                            Session& session) {
  const Stopwatch stopwatch;
  const Control& world = session.world();
  const ProbeSettings settings = settings_of(line);
  const ProbePlan plan = plan_probe(session.host_of(), settings.most);
  ReferenceWork reference = take_reference_work(session);
  const LaunchFacts facts = gather_launch_facts(session, reference);
  EnvironmentInputs inputs;
  if (world.rank() == 0) inputs = inputs_of(line, launch, facts);
  const std::vector<ProbedPath> paths = run_probe(settings, plan, inputs, parts, session);

  std::int64_t failed = 0;
  on_first_rank(world, [&] {
    const std::string document =
        document_of(settings, plan, inputs, paths, stopwatch.elapsed_s()).dump(1) + '\n';
    if (!line.output.empty()) write_file_atomically(line.output, document);
    const std::string where = line.output.empty() ? "" : "; they are in " + line.output;
    print_results(line.json ? document : environment_lines(inputs, plan) + render_probe(paths), where);
    for (const ProbedPath& path : paths) {
      if (!path.problem) continue;
      log::error(*path.problem);
      ++failed;
    }
  });
  return world.broadcast(failed) > 0 ? ExitStatus::case_failed : ExitStatus::ok;
}

}  // namespace

ExitStatus probe_command(const CommandLine& line, const Launch& launch, const Parts& parts) {
  if (launch.launcher == "none") check_launch(launch, 1, line.typed);
  Session session = start_session(launch, line);
  check_launch(launch, session.world().size(), line.typed);
  on_first_rank(session.world(), [&] { check_output(line.output); });
  return probe_in_session(line, launch, parts, session);
}

}  // namespace tpbench
