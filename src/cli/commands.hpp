#pragma once

#include "base/error.hpp"
#include "bench/parts.hpp"
#include "cli/command_line.hpp"
#include "environment/launch.hpp"

namespace tpbench {

/// One function per command. They throw UsageError and EnvironmentError, which run_program turns into exit
/// statuses.
ExitStatus run_command(const CommandLine& line, const Launch& launch, const Parts& parts);
ExitStatus validate_command(const CommandLine& line, const Launch& launch);
ExitStatus models_command(const CommandLine& line, const Launch& launch);
ExitStatus info_command(const CommandLine& line, const Launch& launch);
ExitStatus selfcheck_command(const CommandLine& line, const Launch& launch);

}  // namespace tpbench
