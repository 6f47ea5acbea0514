#pragma once

#include <string>

namespace tpbench {

/// What this binary was made from.
struct BuildInfo {
  std::string version;       ///< "0.1.0"
  std::string git_revision;  ///< twelve digits, "-dirty" behind them when the tree had changes; or "unknown"
  std::string build_type;    ///< "Release"
  std::string compiler;      ///< "GNU 12.2.0"
  std::string compiler_flags;  ///< those that the build type and the user set
  bool optimised = true;       ///< false in a debug or sanitizer build: its times mean nothing
};

const BuildInfo& build_info();

}  // namespace tpbench
