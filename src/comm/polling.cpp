#include "comm/polling.hpp"

#include <sched.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <numeric>

namespace tpbench {

int cpus_of(const Control& group) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  if (sched_getaffinity(0, sizeof mine, &mine) != 0) CPU_SET(group.rank() % CPU_SETSIZE, &mine);
  std::array<std::uint64_t, sizeof mine / sizeof(std::uint64_t)> words = {};
  std::memcpy(words.data(), &mine, sizeof mine);
  group.reduce_or(words);
  return std::accumulate(words.begin(), words.end(), 0,
                         [](int count, std::uint64_t word) { return count + std::popcount(word); });
}

}  // namespace tpbench
