#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/error.hpp"

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
std::optional<std::string> why_launch_cannot_run(const Launch& launch, long world_size_seen_by_mpi,
                                                 long max_degree, const std::string& command_line,
                                                 const ReadVariable& variable = read_process_variable);

/// Why MPI would not start here, with the command to type; empty when it may. Open MPI ends a process whose
/// launcher it cannot talk to: srun must offer it PMIx, or PMI where the library was built for that
/// (`speaks_pmi`).
std::optional<std::string> why_mpi_cannot_start(const Launch& launch, const std::string& command_line,
                                                bool speaks_pmi,
                                                const ReadVariable& variable = read_process_variable);

/// The launcher that starts ranks where this process runs, with what it must be told here: "mpirun -n 4
/// --oversubscribe", or inside a Slurm job "srun --mpi=pmix -n 4".
std::string start_to_type(long ranks, const ReadVariable& variable = read_process_variable);
/// The same launcher with its option against binding, and with the one for a core to each rank.
std::string unbound_to_type(const ReadVariable& variable = read_process_variable);
std::string core_each_to_type(const ReadVariable& variable = read_process_variable);

/// CPUs that Slurm gave each of the `ranks` ranks of this node; empty outside a Slurm job. Slurm need not
/// bind them.
std::optional<std::int64_t> slurm_cpus_per_rank(std::int64_t ranks,
                                                const ReadVariable& variable = read_process_variable);

/// What a run that was interrupted ends with. Slurm takes 128 off a status when it lists jobs: 130 would
/// read as 2, a usage error. There it is 143, which reads as 15, SIGTERM.
ExitStatus interrupted_status(const ReadVariable& variable = read_process_variable);

/// Path of an executable in PATH; empty when there is none.
std::optional<std::string> find_program(const std::string& name,
                                        const ReadVariable& variable = read_process_variable);

}  // namespace tpbench
