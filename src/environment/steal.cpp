#include "environment/steal.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace tpbench {

std::optional<double> stolen_s(std::span<const std::int64_t> cpus, const std::filesystem::path& root) {
  std::ifstream file(root / "proc" / "stat");
  const auto ticks_per_s = static_cast<double>(sysconf(_SC_CLK_TCK));
  std::optional<double> sum;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("cpu") || line.size() < 4 || line[3] < '0' || line[3] > '9') continue;
    std::istringstream words(line.substr(3));
    std::int64_t cpu = 0, ticks = 0;
    words >> cpu;
    constexpr int kSteal = 8;  // user nice system idle iowait irq softirq steal
    int column = 0;
    while (column < kSteal && words >> ticks) ++column;
    if (column < kSteal || std::find(cpus.begin(), cpus.end(), cpu) == cpus.end()) continue;
    sum = sum.value_or(0) + static_cast<double>(ticks) / ticks_per_s;
  }
  return sum;
}

}  // namespace tpbench
