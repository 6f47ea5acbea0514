#include "comm/core_latency.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include "world.hpp"

namespace tpbench::test {
namespace {

bool has_a_cpu_for_each() {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  return sched_getaffinity(0, sizeof mine, &mine) == 0 &&
         world().min(std::int64_t{CPU_COUNT(&mine)}) >= world().size();
}

TEST(CoreLatency, IsTheSameOnAllRanksAndThatOfMemory) {
  CoreLatency cores(world());
  for (int i = 0; i < 3; ++i) {
    const auto seconds = cores.slowest_s();
    if (world().size() == 1) {
      EXPECT_FALSE(seconds);
    }
    EXPECT_EQ(world().max(seconds.value_or(0)), world().min(seconds.value_or(0)));
    if (world().size() > 1 && has_a_cpu_for_each()) {
      ASSERT_TRUE(seconds);
    }
    if (!seconds) continue;
    EXPECT_GT(*seconds, 1e-9);
    EXPECT_LT(*seconds, 1e-3) << "a message and no cache line";
  }
}

TEST(CoreLatency, OfRanksOnHostsOfTheirOwnThereIsNone) {
  CoreLatency cores(world(), "host " + std::to_string(world().rank()));
  EXPECT_FALSE(cores.slowest_s());
}

// More ranks than CPUs would hand over once a time slice.
TEST(CoreLatency, WithoutACpuForEachThereIsNone) {
  cpu_set_t before, one;
  CPU_ZERO(&before);
  CPU_ZERO(&one);
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &before) == 0) continue;
    CPU_SET(cpu, &one);
    break;
  }
  // All on one: the lowest that any rank may have.
  std::int64_t lowest = 0;
  while (CPU_ISSET(static_cast<int>(lowest), &one) == 0) ++lowest;
  CPU_ZERO(&one);
  CPU_SET(static_cast<int>(world().min(lowest)), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  CoreLatency cores(world());
  EXPECT_FALSE(cores.slowest_s());
  EXPECT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace tpbench::test
