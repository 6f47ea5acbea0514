#pragma once

#include <string_view>

// The one doorway to spdlog: everything that is not a result goes through here, to stderr.
namespace tpbench::log {

enum class Level { debug, info, warning, error };

/// Messages below `level` are dropped. `prefix` stands before each line ("tpbench", "tpbench rank 3").
void configure(Level level, std::string_view prefix);

void debug(std::string_view message);
void info(std::string_view message);
void warning(std::string_view message);
void error(std::string_view message);

}  // namespace tpbench::log
