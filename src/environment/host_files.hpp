#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "environment/host.hpp"

// The pieces of host.hpp that read files only; hwloc stays in host.cpp.
namespace tpbench::host_files {

/// Whole text of a small file; empty when it cannot be read (some files of /sys fail on read, not on open).
std::optional<std::string> read_text(const std::filesystem::path& path);

/// First line without blanks at its ends; empty when it cannot be read or holds nothing.
std::optional<std::string> read_line(const std::filesystem::path& path);

/// First line as a whole number; empty when it is none.
std::optional<std::int64_t> read_number(const std::filesystem::path& path);

/// Value of the first "key : value" or "key=value" line of `text`, without quotes.
std::optional<std::string> value_of_key(std::string_view text, std::string_view key, char separator);

/// Number of kB behind `key` of a /proc/meminfo, in bytes.
std::optional<std::int64_t> meminfo_bytes(const std::filesystem::path& path, std::string_view key);

/// What the memory cgroups of this process, v1 or v2, leave: limit less use, the smallest up to the root of
/// what this process sees. Empty without a limit.
std::optional<std::int64_t> cgroup_memory_left(const std::filesystem::path& root);

/// Cores' worth of time that the cpu cgroup grants; empty without a limit.
std::optional<double> cgroup_cpu_quota(const std::filesystem::path& root);

/// Network interfaces of this process's network namespace and InfiniBand ports.
std::vector<InterfaceFacts> read_interfaces(const std::filesystem::path& root);

}  // namespace tpbench::host_files
