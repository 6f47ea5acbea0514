#pragma once

#include <filesystem>
#include <string_view>

namespace tpbench {

/// Marks the temporary names of `write_file_atomically`: "NAME.tmp.PID".
inline constexpr std::string_view kTemporaryMark = ".tmp.";

/// Whether the disk must have a file before it has its name; without, a machine that loses power may lose it.
enum class Flush { yes, no };

/// Puts `text` under `path` so that a reader, or a machine that loses power, sees the old file or the whole
/// new one: written under a temporary name in the same folder, flushed, renamed, and the folder flushed. Two
/// processes must not write one path at a time. Throws EnvironmentError with the path and the system's words;
/// the temporary file is gone then and what stood under `path` is untouched.
void write_file_atomically(const std::filesystem::path& path, std::string_view text,
                           Flush flush = Flush::yes);

}  // namespace tpbench
