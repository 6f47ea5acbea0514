#include <fmt/format.h>

#include "cli/commands.hpp"
#include "report/models.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {

ExitStatus models_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  if (line.config.empty()) {
    fmt::print("{}", line.json ? models_as_json() : models_as_text());
    return ExitStatus::ok;
  }
  const Model model = load_model_file(line.config).model;
  fmt::print("{}", line.json ? models_as_json({&model, 1}) : model_as_text(model));
  return ExitStatus::ok;
}

}  // namespace tpbench
