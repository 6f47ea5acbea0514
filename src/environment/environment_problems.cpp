#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/build_info.hpp"
#include "base/json.hpp"
#include "environment/core_findings.hpp"
#include "environment/environment.hpp"
#include "environment/launch.hpp"

namespace tpbench {
namespace {

using Problems = std::vector<std::string>;

/// One kernel with the ranks on it. Two "hosts" with equal boot ids are one machine (containers, namespaces).
struct Machine {
  std::set<std::string> host_names;
  std::vector<const RankPlace*> ranks;
  std::int64_t cores = 0;  ///< 0 when not known
};

std::string text_or(const Json& object, const char* key, const std::string& otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

std::vector<Machine> machines_of(const EnvironmentInputs& inputs) {
  std::map<std::string, std::string> machine_of_host;
  std::map<std::string, Machine> machines;
  for (const Json& host : inputs.hosts) {
    const std::string name = text_or(host, "name", "unknown");
    const std::string id = text_or(host, "boot_id_hash", name);
    machine_of_host[name] = id;
    machines[id].host_names.insert(name);
    machines[id].cores = std::max(machines[id].cores, optional_from<std::int64_t>(host, "cores").value_or(0));
  }
  for (const RankPlace& place : inputs.ranks) {
    const auto found = machine_of_host.find(place.host);
    Machine& machine = machines[found != machine_of_host.end() ? found->second : place.host];
    machine.host_names.insert(place.host);
    machine.ranks.push_back(&place);
  }
  std::vector<Machine> list;
  for (auto& [id, machine] : machines) list.push_back(std::move(machine));
  return list;
}

void check_build(Problems& problems) {
  const BuildInfo& build = build_info();
  if (build.optimised) return;
  problems.push_back(fmt::format(
      "this is a {} build without full optimisation: its times mean nothing; build the release preset",
      build.build_type));
}

void check_host(const Json& host, Problems& problems) {
  const std::string name = text_or(host, "name", "unknown");
  if (const auto governor = governor_problem(host))
    problems.push_back(fmt::format("{}: {}", name, *governor));
  if (const auto pages = huge_pages_problem(host)) problems.push_back(fmt::format("{}: {}", name, *pages));
  if (host.contains("blas")) {
    if (const auto advice = optional_from<std::string>(host.at("blas"), "advice"))
      problems.push_back(fmt::format("{}: {}", name, *advice));
  }
  if (const auto quota = optional_from<double>(host, "cpu_quota"); quota) {
    const double cores = static_cast<double>(optional_from<std::int64_t>(host, "cores").value_or(0));
    if (*quota < cores) {
      problems.push_back(
          fmt::format("{}: the cgroup grants {:.3g} cores' worth of time on {:.0f} cores: ranks are "
                      "stopped in mid-step; raise the limit or start fewer ranks",
                      name, *quota, cores));
    }
  }
  if (optional_from<bool>(host, "virtualised").value_or(false)) {
    problems.push_back(
        fmt::format("{}: a virtual machine: timings include other tenants of its host; repeat the sweep and "
                    "compare before trusting small differences",
                    name));
  }
}

void check_machine(const Machine& machine, Problems& problems) {
  const std::string names = fmt::format("{}", fmt::join(machine.host_names, ", "));
  const auto ranks = static_cast<std::int64_t>(machine.ranks.size());
  if (machine.host_names.size() > 1 && ranks > 1) {
    problems.push_back(
        fmt::format("{}: these hosts are one machine (one boot id): they share cores and memory; "
                    "start with --bind-to none, and read times as those of one machine",
                    names));
  }
  MachineLoad load;
  load.hosts = names;
  load.cores = machine.cores;
  for (const RankPlace* place : machine.ranks) {
    const auto bound = static_cast<std::int64_t>(place->cpus.size());
    load.ranks.push_back({place->world_rank, place->threads, bound, place->cpus});
  }
  for (const Finding& finding : core_findings(load)) problems.push_back(finding.message);
}

// tpbench sets the threads of its BLAS itself; a variable that says something else is at best misleading.
void check_thread_variables(const EnvironmentInputs& inputs, Problems& problems) {
  const auto variables = allowed_variables(inputs.variables);
  for (const char* const name : {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "GOTO_NUM_THREADS"}) {
    const auto found = variables.find(name);
    if (found == variables.end()) continue;
    std::int64_t wanted = 0;
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), wanted);
    const auto other = std::find_if(inputs.ranks.begin(), inputs.ranks.end(),
                                    [&](const RankPlace& place) { return place.threads != wanted; });
    if (other == inputs.ranks.end()) continue;
    problems.push_back(
        fmt::format("{}={} while rank {} uses {} BLAS threads: tpbench sets them by threads_per_rank; "
                    "unset the variable",
                    name, found->second, other->world_rank, other->threads));
  }
}

void check_launcher(const EnvironmentInputs& inputs, Problems& problems) {
  if (inputs.launcher != "none") return;
  const ReadVariable variable = [&](const char* name) -> std::optional<std::string> {
    const std::string prefix = std::string(name) + "=";
    for (const std::string& text : inputs.variables)
      if (text.starts_with(prefix)) return text.substr(prefix.size());
    return std::nullopt;
  };
  // A bundle has its own.
  if (variable("TPBENCH_BUNDLE")) return;
  if (find_program("mpirun", variable) || find_program("srun", variable)) return;
  problems.push_back(
      "no launcher found: neither mpirun nor srun is in PATH, so no degree above 1 can run; "
      "install openmpi-bin");
}

// One rank speaks for all that are as slow: a thousand sentences help nobody.
void check_compute(const EnvironmentInputs& inputs, Problems& problems) {
  if (inputs.blas_problem) problems.push_back(*inputs.blas_problem);
  for (const DType dtype : {DType::f32, DType::f64}) {
    const RankPlace* worst = nullptr;
    std::int64_t slow = 0;
    for (const RankPlace& place : inputs.ranks) {
      if (!place.rates || !why_slow(dtype, *place.rates->of(dtype))) continue;
      ++slow;
      if (worst == nullptr || place.rates->of(dtype)->share() < worst->rates->of(dtype)->share())
        worst = &place;
    }
    if (worst == nullptr) continue;
    const std::string others = slow > 1 ? fmt::format(" (and {} more)", slow - 1) : "";
    problems.push_back(fmt::format("{}, rank {}{}: {}", worst->host, worst->world_rank, others,
                                   *why_slow(dtype, *worst->rates->of(dtype))));
  }
  std::map<std::string, std::string> host_of_core;
  for (const Json& host : inputs.hosts) {
    if (!host.contains("blas")) continue;
    std::string& names = host_of_core[text_or(host.at("blas"), "core", "unknown")];
    if (names.empty()) names = text_or(host, "name", "unknown");
  }
  if (host_of_core.size() > 1) problems.push_back(mixed_kernels_problem(host_of_core));
}

void check_mpi(const EnvironmentInputs& inputs, Problems& problems) {
  if (!inputs.mpi.is_object()) return;
  const std::string implementation = text_or(inputs.mpi, "implementation", "Open MPI");
  if (implementation == "Open MPI") return;
  problems.push_back(
      fmt::format("the MPI library is {}: tpbench is tested with Open MPI only", implementation));
}

}  // namespace

std::string mixed_kernels_problem(const std::map<std::string, std::string>& host_of_core) {
  std::vector<std::string> words;
  for (const auto& [core, host] : host_of_core) words.push_back(fmt::format("{} on {}", core, host));
  return fmt::format(
      "hosts multiply with different kernels ({}): ranks do not compute alike; use hosts of one kind, or "
      "name one core "
      "for all by mpirun -x OPENBLAS_CORETYPE=...",
      fmt::join(words, ", "));
}

std::optional<std::string> governor_problem(const Json& host) {
  const std::string governor = text_or(host, "governor", "performance");
  if (governor == "performance") return std::nullopt;
  return fmt::format(
      "the CPU governor is {}: clocks change while measuring; as root: cpupower frequency-set -g performance",
      governor);
}

std::optional<std::string> huge_pages_problem(const Json& host) {
  if (text_or(host, "transparent_huge_pages", "") != "never") return std::nullopt;
  return "transparent huge pages are off: large matrices pay for small pages; as root: echo always > "
         "/sys/kernel/mm/transparent_hugepage/enabled";
}

std::vector<std::string> environment_problems(const EnvironmentInputs& inputs) {
  Problems problems;
  check_build(problems);
  check_launcher(inputs, problems);
  check_mpi(inputs, problems);
  for (const Json& host : inputs.hosts) check_host(host, problems);
  for (const Machine& machine : machines_of(inputs)) check_machine(machine, problems);
  check_thread_variables(inputs, problems);
  check_compute(inputs, problems);
  const Problems of_onednn = onednn_problems(inputs);
  problems.insert(problems.end(), of_onednn.begin(), of_onednn.end());
  return problems;
}

}  // namespace tpbench
