#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"
#include "sweep/sweep.hpp"
#include "workload/workload.hpp"

namespace tpbench::test {

/// What the CPU build offers.
inline Availability cpu_build() {
  Availability available{{}, {"cpu"}, {"mpi"}};
  for (const Workload* workload : all_workloads()) available.workloads.emplace_back(workload->name);
  return available;
}

inline Sweep parse(std::string_view text, const std::vector<std::string>& overrides = {}) {
  return parse_sweep(text, "sweep.json", overrides, cpu_build());
}

/// The faults of a text that must be refused; empty when it is not.
inline std::vector<Fault> faults_of(std::string_view text, const std::vector<std::string>& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const UsageError& error) {
    return error.faults();
  }
  return {};
}

/// The message of the UsageError that `text` causes; empty when there is none.
inline std::string message_of(std::string_view text, const std::vector<std::string>& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace tpbench::test
