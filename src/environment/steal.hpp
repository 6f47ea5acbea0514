#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

namespace tpbench {

/// For how long, since the host started, a hypervisor gave these CPUs to others while they had work: steal of
/// /proc/stat, summed over them. Empty where the kernel does not say. `root`: only tests give another one.
std::optional<double> stolen_s(std::span<const std::int64_t> cpus, const std::filesystem::path& root = "/");

}  // namespace tpbench
