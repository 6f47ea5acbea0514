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
#include "cli/commands.hpp"

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
  }
  return ExitStatus::bad_usage;
}

void configure_log(const CommandLine& line, long rank) {
  const log::Level level = line.quiet     ? log::Level::warning
                           : line.verbose ? log::Level::debug
                                          : log::Level::info;
  log::configure(level, rank == 0 ? "tpbench" : fmt::format("tpbench rank {}", rank));
}

}  // namespace

namespace {

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
  if (status == ExitStatus::ok || rank == 0 || said) return static_cast<int>(status);
  static int status_of_all = 0;
  status_of_all = static_cast<int>(status);
  std::signal(SIGTERM, [](int) { _exit(status_of_all); });
  std::this_thread::sleep_for(std::chrono::seconds(3));
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
