#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tpbench {

/// Name of this host, "unknown" when the kernel does not say. Two hosts may have one name.
std::string host_name();

/// A hash of the running kernel's boot id: equal on "hosts" that are one kernel (containers, namespaces).
/// Empty when the kernel does not say. `root` is where /proc is found; only tests give another one.
std::optional<std::string> boot_id_hash(const std::filesystem::path& root = "/");

/// What tells this host from others: its kernel and its name.
std::string host_identity();

}  // namespace tpbench
