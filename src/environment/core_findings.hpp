#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tpbench {

/// The ranks that work at once on one machine: one running kernel, whatever its hosts are called.
struct MachineLoad {
  struct Rank {
    std::int64_t world_rank = 0;
    std::int64_t threads = 1;        ///< that compute
    std::int64_t bound_cores = 0;    ///< that it may run on
    std::vector<std::int64_t> cpus;  ///< the same as CPUs; empty when not known
  };
  std::string hosts;       ///< their names, for people
  std::int64_t cores = 0;  ///< 0 when not known
  std::vector<Rank> ranks;
};

struct Finding {
  std::string code;     ///< that of the record's warning
  std::string message;  ///< what is wrong and the remedy
};

/// What is wrong with how ranks share cores: the one list for records and for environment.json.
std::vector<Finding> core_findings(const MachineLoad& machine);

}  // namespace tpbench
