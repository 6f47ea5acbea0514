#pragma once

#include <functional>
#include <optional>
#include <string>

// What the launcher's variables say, before and beside MPI.
namespace tpbench {

/// Reads one environment variable; empty when it is not set.
using ReadVariable = std::function<std::optional<std::string>(const char* name)>;

/// The real environment of this process.
std::optional<std::string> read_process_variable(const char* name);

/// How this process was started, by its launcher's own account.
struct Launch {
  std::string launcher =
      "none";  ///< "mpirun", "srun", "mpiexec.hydra", "pmix" (another PMIx launcher), "none"
  std::optional<long> rank, size, local_rank;
};

Launch detect_launch(const ReadVariable& variable = read_process_variable);

/// Why a sweep whose largest degree is `max_degree` cannot run in this launch, with the command to type;
/// empty when it can. `command_line` is what the user typed, without a launcher. A launch that is smaller
/// than `max_degree` on purpose (mpirun -n 2) is no fault: the cases beyond it become skipped records.
/// `mpirun_options` stands behind "mpirun -n N"; see `mpirun_options_here` and `mpirun_to_type`.
std::optional<std::string> why_launch_cannot_run(const Launch& launch, long world_size_seen_by_mpi,
                                                 long max_degree, const std::string& command_line,
                                                 const std::string& mpirun_options,
                                                 const std::string& mpirun = "mpirun");
std::optional<std::string> why_launch_cannot_run(const Launch& launch, long world_size_seen_by_mpi,
                                                 long max_degree, const std::string& command_line);

/// How mpirun is called: by its name, but for a program of a bundle (TPBENCH_BUNDLE names its folder) whose
/// own mpirun is not the one that PATH finds: then by the path of that, quoted for a shell where it has to
/// be.
std::string mpirun_to_type(const ReadVariable& variable = read_process_variable);

/// What mpirun must be told on this machine to start `ranks` ranks: "--oversubscribe" with fewer cores than
/// that,
/// "--allow-run-as-root" for root. Empty, or words separated by blanks.
std::string mpirun_options_here(long ranks, const ReadVariable& variable = read_process_variable);

/// Path of an executable in PATH; empty when there is none.
std::optional<std::string> find_program(const std::string& name,
                                        const ReadVariable& variable = read_process_variable);

}  // namespace tpbench
