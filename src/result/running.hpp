#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "result/record.hpp"

// DIR/running.json: the case that is being measured, as the failed record that is left of it when the run ends
// without a word, killed or with its host. (docs/record.md, "The result folder")
namespace tpbench {

inline constexpr std::string_view kRunningFile = "running.json";

/// `record` is failed already, with the reason that holds unless somebody knows better. Not flushed to the
/// disk: it must cost a case nothing that could be seen. Throws EnvironmentError.
void mark_running(const std::filesystem::path& folder, const Record& record);
void clear_running(const std::filesystem::path& folder);

/// Puts the record of a case that was left running among the others, with `reason` in place of its own if
/// that is given, and returns it; empty when there is none. Where epochs of the case were finished the record
/// of these stays. The caller holds the folder's lock.
std::optional<Record> settle_running(const std::filesystem::path& folder,
                                     const std::optional<std::string>& reason = std::nullopt);

}  // namespace tpbench
