#include <fmt/format.h>

#include "cli/commands.hpp"
#include "report/models.hpp"

namespace tpbench {

ExitStatus models_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  fmt::print("{}", line.json ? models_as_json() : models_as_text());
  return ExitStatus::ok;
}

}  // namespace tpbench
