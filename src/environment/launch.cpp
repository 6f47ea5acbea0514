#include "environment/launch.hpp"

#include <fmt/format.h>
#include <unistd.h>

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
                                                 const std::string& mpirun_options,
                                                 const std::string& mpirun) {
  const bool several = launch.size.value_or(1) > 1 || launch.rank.value_or(0) > 0;
  if (several && world_size_seen_by_mpi == 1) {
    const std::string count = launch.size ? fmt::format("the {}", *launch.size) : std::string("several");
    return fmt::format("each of {} processes believes to be rank 0 of 1: {}", count,
                       remedy_for_foreign_launcher(launch.launcher));
  }
  if (launch.launcher == "none" && world_size_seen_by_mpi < 2 && max_degree > 1) {
    return fmt::format("the sweep needs {} ranks and this process was started alone; type: {} -n {} {}{}{}",
                       max_degree, mpirun, max_degree, mpirun_options, mpirun_options.empty() ? "" : " ",
                       command_line);
  }
  return std::nullopt;
}

std::optional<std::string> why_launch_cannot_run(const Launch& launch, long world_size_seen_by_mpi,
                                                 long max_degree, const std::string& command_line) {
  return why_launch_cannot_run(launch, world_size_seen_by_mpi, max_degree, command_line,
                               mpirun_options_here(max_degree), mpirun_to_type());
}

std::string mpirun_to_type(const ReadVariable& variable) {
  const std::optional<std::string> bundle = variable("TPBENCH_BUNDLE");
  if (!bundle) return "mpirun";
  const std::string own = *bundle + "/bin/mpirun";
  const std::optional<std::string> found = find_program("mpirun", variable);
  std::error_code error;
  if (found && std::filesystem::equivalent(*found, own, error)) return "mpirun";
  return shell_quoted(own);
}

std::string mpirun_options_here(long ranks, const ReadVariable& variable) {
  std::string options;
  // In an allocation the slots are those of all its nodes, which mpirun knows better than this one.
  const bool allocated = variable("SLURM_JOB_ID") || variable("PBS_JOBID") || variable("LSB_JOBID");
  if (!allocated && ranks > core_count()) options = "--oversubscribe";
  const bool root_allowed =
      variable("OMPI_ALLOW_RUN_AS_ROOT") == "1" && variable("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM") == "1";
  if (geteuid() == 0 && !root_allowed) {
    options += options.empty() ? "--allow-run-as-root" : " --allow-run-as-root";
  }
  return options;
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
