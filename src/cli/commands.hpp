#pragma once

#include <string>

#include "base/error.hpp"
#include "bench/parts.hpp"
#include "cli/command_line.hpp"
#include "comm/session.hpp"
#include "environment/launch.hpp"

namespace tpbench {

/// One function per command. They throw UsageError and EnvironmentError, which run_program turns into exit
/// statuses.
ExitStatus run_command(const CommandLine& line, const Launch& launch, const Parts& parts);
ExitStatus validate_command(const CommandLine& line, const Launch& launch);
ExitStatus models_command(const CommandLine& line, const Launch& launch);
ExitStatus info_command(const CommandLine& line, const Launch& launch);
ExitStatus selfcheck_command(const CommandLine& line, const Launch& launch);
ExitStatus probe_command(const CommandLine& line, const Launch& launch, const Parts& parts);
ExitStatus compare_command(const CommandLine& line, const Launch& launch);
ExitStatus export_command(const CommandLine& line, const Launch& launch);
ExitStatus report_command(const CommandLine& line, const Launch& launch);
ExitStatus predict_command(const CommandLine& line, const Launch& launch);
ExitStatus plan_command(const CommandLine& line, const Launch& launch);

/// Starts MPI. Throws EnvironmentError, before MPI ends the process, where this launch cannot have it.
Session start_session(const Launch& launch, const CommandLine& line);

/// Puts results on stdout and throws EnvironmentError, with `where_else` behind the message, when that fails:
/// a table that nobody could read must not look like a success.
void print_results(const std::string& text, const std::string& where_else);

}  // namespace tpbench
