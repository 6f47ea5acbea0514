#include "environment/launch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "base/text.hpp"
#include "environment/host.hpp"

namespace tpbench {
namespace {

std::optional<long> read_count(const ReadVariable& variable, const char* name) {
  const std::optional<std::string> text = variable(name);
  if (!text) return std::nullopt;
  long number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || number < 0) return std::nullopt;
  return number;
}

// Slurm gives the script of sbatch and the shell of salloc a step number of their own, at the top of 32 bits:
// those are places to launch from, not launches.
bool is_in_slurm_step(const ReadVariable& variable) {
  constexpr long kFirstSpecialStep = 0xfffffff0L;
  const std::optional<long> step = read_count(variable, "SLURM_STEP_ID");
  return step && *step < kFirstSpecialStep && read_count(variable, "SLURM_PROCID");
}

// One launcher: how it is known and where it says what.
struct LauncherRow {
  const char* launcher;
  bool (*started)(const ReadVariable&);
  const char* rank;
  const char* size;
  const char* local_rank;
};

// Order matters: mpirun and mpiexec.hydra inside a Slurm allocation start their helpers with srun, so that
// ranks see Slurm's variables beside those of their own launcher.
constexpr LauncherRow kLaunchers[] = {
    {"mpirun", [](const ReadVariable& variable) { return variable("OMPI_COMM_WORLD_SIZE").has_value(); },
     "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"mpiexec.hydra",
     [](const ReadVariable& variable) {
       return variable("PMI_RANK") && (variable("MPI_LOCALRANKID") || !is_in_slurm_step(variable));
     },
     "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
    {"srun", is_in_slurm_step, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"},
    {"pmix", [](const ReadVariable& variable) { return variable("PMIX_RANK").has_value(); }, "PMIX_RANK",
     "PMIX_SIZE", "PMIX_LOCAL_RANK"},
};

// How mpirun is called: by its name, but for a program of a bundle (TPBENCH_BUNDLE names its folder) whose
// own mpirun is not the one that PATH finds.
std::string mpirun_to_type(const ReadVariable& variable) {
  const std::optional<std::string> bundle = variable("TPBENCH_BUNDLE");
  if (!bundle) return "mpirun";
  const std::string own = *bundle + "/bin/mpirun";
  const std::optional<std::string> found = find_program("mpirun", variable);
  std::error_code error;
  if (found && std::filesystem::equivalent(*found, own, error)) return "mpirun";
  return shell_quoted(own);
}

// More ranks than cores, and root, want to be said.
std::string mpirun_options_here(long ranks, const ReadVariable& variable) {
  std::string options;
  // In an allocation the slots are those of all its nodes, which mpirun knows better than this one.
  const bool allocated = variable("SLURM_JOB_ID") || variable("PBS_JOBID") || variable("LSB_JOBID");
  if (!allocated && ranks > core_count()) options += " --oversubscribe";
  const bool root_allowed =
      variable("OMPI_ALLOW_RUN_AS_ROOT") == "1" && variable("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM") == "1";
  if (geteuid() == 0 && !root_allowed) options += " --allow-run-as-root";
  return options;
}

// Who typed mpirun inside a Slurm job goes on with it; a bundle's Open MPI comes with its own mpirun.
bool starts_by_srun(const ReadVariable& variable) {
  if (variable("OMPI_COMM_WORLD_SIZE") || variable("TPBENCH_BUNDLE")) return false;
  return is_in_slurm_step(variable) || (variable("SLURM_JOB_ID") && find_program("srun", variable));
}

std::string remedy_for_foreign_launcher(const std::string& launcher) {
  if (launcher == "srun") {
    return "srun did not offer PMIx to Open MPI; use srun --mpi=pmix, or Open MPI's own mpirun";
  }
  return fmt::format(
      "the launcher {} is not that of the Open MPI that this program is linked with; use Open MPI's own "
      "mpirun, or srun --mpi=pmix",
      launcher);
}

}  // namespace

std::optional<std::string> read_process_variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

Launch detect_launch(const ReadVariable& variable) {
  for (const LauncherRow& row : kLaunchers) {
    if (!row.started(variable)) continue;
    return {row.launcher, read_count(variable, row.rank), read_count(variable, row.size),
            read_count(variable, row.local_rank)};
  }
  return {};
}

std::optional<std::string> why_launch_cannot_run(const Launch& launch, long world_size_seen_by_mpi,
                                                 long max_degree, const std::string& command_line,
                                                 const ReadVariable& variable) {
  const bool several = launch.size.value_or(1) > 1 || launch.rank.value_or(0) > 0;
  if (several && world_size_seen_by_mpi == 1) {
    const std::string count = launch.size ? fmt::format("the {}", *launch.size) : std::string("several");
    return fmt::format("each of {} processes thinks it is rank 0 of 1: {}", count,
                       remedy_for_foreign_launcher(launch.launcher));
  }
  if (launch.launcher == "none" && world_size_seen_by_mpi < 2 && max_degree > 1) {
    return fmt::format("the sweep needs {} ranks and this process was started alone; type: {} {}", max_degree,
                       start_to_type(max_degree, variable), command_line);
  }
  return std::nullopt;
}

std::optional<std::string> why_mpi_cannot_start(const Launch& launch, const std::string& command_line,
                                                bool speaks_pmi, const ReadVariable& variable) {
  if (launch.launcher != "srun" || variable("PMIX_NAMESPACE")) return std::nullopt;
  if (speaks_pmi && (variable("PMI_RANK") || variable("PMI_FD"))) return std::nullopt;
  const std::optional<long> nodes = read_count(variable, "SLURM_STEP_NUM_NODES");
  return fmt::format(
      "srun did not offer PMIx to Open MPI, which cannot start without; type: srun --mpi=pmix {}-n {} {}",
      nodes.value_or(1) > 1 ? fmt::format("-N {} ", *nodes) : "", launch.size.value_or(1), command_line);
}

std::string start_to_type(long ranks, const ReadVariable& variable) {
  if (starts_by_srun(variable)) return fmt::format("srun --mpi=pmix -n {}", ranks);
  return fmt::format("{} -n {}{}", mpirun_to_type(variable), ranks, mpirun_options_here(ranks, variable));
}

std::string unbound_to_type(const ReadVariable& variable) {
  return starts_by_srun(variable) ? "srun --cpu-bind=none" : "mpirun --bind-to none";
}

std::string core_each_to_type(const ReadVariable& variable) {
  return starts_by_srun(variable) ? "srun --cpu-bind=cores" : "mpirun --map-by core";
}

std::optional<std::int64_t> slurm_cpus_per_rank(std::int64_t ranks, const ReadVariable& variable) {
  std::optional<std::int64_t> cpus = read_count(variable, "SLURM_CPUS_PER_TASK");
  // srun need not take over what sbatch was told of a task: what the step has counts too.
  if (const auto of_node = read_count(variable, "SLURM_CPUS_ON_NODE")) {
    const std::int64_t share = std::max<std::int64_t>(1, *of_node / std::max<std::int64_t>(1, ranks));
    cpus = std::min(cpus.value_or(share), share);
  }
  return cpus;
}

ExitStatus interrupted_status(const ReadVariable& variable) {
  constexpr auto kInSlurm = static_cast<ExitStatus>(143);
  return variable("SLURM_JOB_ID") ? kInSlurm : ExitStatus::interrupted;
}

std::optional<std::string> find_program(const std::string& name, const ReadVariable& variable) {
  for (const std::string& folder : split(variable("PATH").value_or("/usr/local/bin:/usr/bin:/bin"), ':')) {
    const std::string path = (folder.empty() ? std::string(".") : folder) + "/" + name;
    std::error_code error;
    if (access(path.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(path, error)) return path;
  }
  return std::nullopt;
}

}  // namespace tpbench
