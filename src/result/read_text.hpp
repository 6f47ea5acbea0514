#pragma once

#include <filesystem>
#include <string>

namespace tpbench {

/// The bytes of a file. Throws EnvironmentError, with the path and the system's words, when it cannot be
/// read.
std::string read_text(const std::filesystem::path& path);

}  // namespace tpbench
