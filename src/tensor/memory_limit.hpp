#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tpbench {

/// What a limit of this process (ulimit -v, ulimit -d) leaves it to allocate.
struct MemoryLimit {
  std::int64_t left_bytes = 0;
  std::string name;  ///< "ulimit -d 150000"
};

/// The limit that leaves least; empty where there is none.
std::optional<MemoryLimit> tightest_memory_limit();

}  // namespace tpbench
