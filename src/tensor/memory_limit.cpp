#include "tensor/memory_limit.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>

namespace tpbench {
namespace {

std::int64_t bytes_in_use(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kilobytes = 0;
    if (word == key && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

std::optional<MemoryLimit> tightest_memory_limit() {
  struct Row {
    decltype(RLIMIT_AS) resource;
    char option;       // of the shell's ulimit, which counts in KiB
    const char* used;  // in /proc/self/status
  };
  std::optional<MemoryLimit> tightest;
  for (const Row& row : {Row{RLIMIT_AS, 'v', "VmSize:"}, Row{RLIMIT_DATA, 'd', "VmData:"}}) {
    struct rlimit limit {};
    if (getrlimit(row.resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) continue;
    const auto bytes = static_cast<std::int64_t>(limit.rlim_cur);
    const std::int64_t left = std::max<std::int64_t>(0, bytes - bytes_in_use(row.used));
    if (tightest && tightest->left_bytes <= left) continue;
    tightest = {left, fmt::format("ulimit -{} {}", row.option, bytes / 1024)};
  }
  return tightest;
}

}  // namespace tpbench
