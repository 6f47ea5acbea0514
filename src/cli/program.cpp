#include "cli/program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "cli/commands.hpp"
#include "cli/start_again.hpp"
#include "compute/blas_kernels.hpp"
#include "tensor/memory_limit.hpp"

namespace tpbench {
namespace {

ExitStatus execute(const CommandLine& line, const Launch& launch, const Parts& parts) {
  switch (line.command) {
    case Command::run:
      return run_command(line, launch, parts);
    case Command::validate:
      return validate_command(line, launch);
    case Command::models:
      return models_command(line, launch);
    case Command::info:
      return info_command(line, launch);
    case Command::selfcheck:
      return selfcheck_command(line, launch);
    case Command::probe:
      return probe_command(line, launch, parts);
    case Command::compare:
      return compare_command(line, launch);
    case Command::export_results:
      return export_command(line, launch);
    case Command::report:
      return report_command(line, launch);
    case Command::predict:
      return predict_command(line, launch);
    case Command::plan:
      return plan_command(line, launch);
    case Command::describe:
      if (launch.rank.value_or(0) == 0) print_results(line.description, "");
      return ExitStatus::ok;
  }
  return ExitStatus::bad_usage;
}

void configure_log(const CommandLine& line, long rank) {
  const log::Level level = line.quiet     ? log::Level::warning
                           : line.verbose ? log::Level::debug
                                          : log::Level::info;
  log::configure(level, rank == 0 ? "tpbench" : fmt::format("tpbench rank {}", rank));
}

// The others only read and write files.
bool uses_machine(const CommandLine& line) {
  return (line.command == Command::run && !line.dry_run) || line.command == Command::selfcheck ||
         line.command == Command::probe || line.command == Command::info;
}

// Open MPI ends with a segmentation fault where it cannot load its components: measured, some 30 MB.
void check_memory_limit() {
  constexpr std::int64_t kToStart = std::int64_t{64} << 20;
  if (!tightest_memory_limit()) return;
  // OpenBLAS's threads, which were started with the library, take their buffers by now.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::optional<MemoryLimit> limit = tightest_memory_limit();
  if (!limit || limit->left_bytes >= kToStart) return;
  throw EnvironmentError(fmt::format(
      "{} leaves this process {} of memory, and MPI alone needs {} to start: raise that limit", limit->name,
      format_bytes(static_cast<double>(limit->left_bytes)), format_bytes(static_cast<double>(kToStart))));
}

// OpenBLAS chooses its kernels when it is loaded, before `main`: to choose others is to start again, and must
// come before MPI is. The first rank speaks; environment.json has every host's.
void choose_blas_kernels(const CommandLine& line, bool speaks) {
  const BlasKernels& kernels = blas_kernels();
  if (kernels.missing) {
    throw EnvironmentError(fmt::format(
        "OpenBLAS was told to multiply with its kernels for {} ({}), and this CPU has no {}: unset {}",
        kernels.core, kernels.reason, *kernels.missing, kCoreVariable));
  }
  if (speaks && kernels.chosen_by == KernelChooser::tpbench) log::info(kernels.reason);
  const auto variables = variables_for_faster_kernels(kernels);
  if (!variables || line.keep_blas_kernels) return;
  const std::string why = start_again({{kCoreVariable, variables->core}, {kKernelMark, variables->mark}});
  if (speaks) {
    log::warning(fmt::format(
        "OpenBLAS chose slow kernels, and this program could not start itself again with {}={}: {}",
        kCoreVariable, variables->core, why));
  }
}

// A file that is opened while one of these is closed would take its number, and get what is meant for the
// terminal.
void keep_standard_streams() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) == -1) (void)!open("/dev/null", O_RDWR);
  }
}

// What stdout was given may still wait in its buffer, and the disk behind it may be full.
void flush_results(ExitStatus& status, std::string& message) {
  if (std::fflush(stdout) == 0 || status != ExitStatus::ok) return;
  status = ExitStatus::environment;
  message = fmt::format("cannot write to stdout: {}", std::strerror(errno));
}

// mpirun and srun -K end all ranks as soon as one leaves with a status, and rank 0 may not have said why yet.
// Others that leave so give it time; when they are ended with it they leave with the status that they have.
int leave(ExitStatus status, long rank, bool said) {
  if (status != ExitStatus::ok && rank != 0 && !said) {
    static int status_of_all = 0;
    status_of_all = static_cast<int>(status);
    std::signal(SIGTERM, [](int) { _exit(status_of_all); });
    std::this_thread::sleep_for(std::chrono::seconds(3));
  }
  // A thread of OpenBLAS that cannot have its buffer asks for ever, and the library waits for it at its end.
  if (tightest_memory_limit()) {
    std::fflush(nullptr);
    _exit(static_cast<int>(status));
  }
  return static_cast<int>(status);
}

}  // namespace

int run_program(int argc, const char* const* argv, const Parts& parts) {
  keep_standard_streams();
  const Launch launch = detect_launch();
  const long rank = launch.rank.value_or(0);
  const ParsedCommandLine parsed = parse_command_line(argc, argv, rank == 0);
  if (!parsed.command_line) return leave(static_cast<ExitStatus>(parsed.exit_status), rank, false);
  configure_log(*parsed.command_line, rank);
  ExitStatus status = ExitStatus::ok;
  std::string message;
  try {
    if (uses_machine(*parsed.command_line)) {
      choose_blas_kernels(*parsed.command_line, rank == 0);
      check_memory_limit();
    }
    status = execute(*parsed.command_line, launch, parts);
  } catch (const UsageError& error) {
    status = ExitStatus::bad_usage;
    message = error.what();
  } catch (const std::exception& error) {
    // A mistake of the program itself ends here too: nothing of it is the user's sweep.
    status = ExitStatus::environment;
    message = error.what();
  }
  flush_results(status, message);
  // What all ranks learned together is said once; without words it has been said where it was found.
  if (!message.empty() && rank == 0) {
    for (const std::string& text : split(message, '\n')) log::error(text);
  }
  return leave(status, rank, message.empty());
}

}  // namespace tpbench
