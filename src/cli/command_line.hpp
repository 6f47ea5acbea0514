#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/render.hpp"

namespace tpbench {

enum class Command { run, validate, models, info, selfcheck };

/// What was typed.
struct CommandLine {
  Command command = Command::run;
  std::string typed;  ///< the whole line, so that a shell would take it again
  std::string config;
  std::string output;
  std::string resume;
  std::string label;
  std::vector<std::string> filters;
  std::vector<std::string>
      overrides;  ///< --set in order; --backend, --seed and --no-verify are spelled out as such
  Format format = Format::table;
  bool dry_run = false;
  bool quiet = false;
  bool verbose = false;
  bool json = false;  ///< models, info and selfcheck
  double watchdog_s = 60;
};

/// Result of parsing: either something to do, or an exit status with what has been printed already (--help, a
/// mistake).
struct ParsedCommandLine {
  std::optional<CommandLine> command_line;
  int exit_status = 0;
};

/// `speaks`: whether this process prints help and mistakes; of the ranks of a launch only the first does.
ParsedCommandLine parse_command_line(int argc, const char* const* argv, bool speaks);

}  // namespace tpbench
