#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace tpbench {

/// How often and how long the CPU quotas of this process's cgroups (v1 or v2, and those above it that it can
/// see) have stopped their processes, since the cgroups were made. `seconds` counts every CPU that had to
/// wait.
struct Throttling {
  std::int64_t periods = 0;
  double seconds = 0;
};

/// Empty where no cgroup counts. `root` is where /proc and /sys are found; only tests give another one.
std::optional<Throttling> read_throttling(const std::filesystem::path& root = "/");

}  // namespace tpbench
