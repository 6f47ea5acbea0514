#include "compute/thread_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <new>

namespace tpbench {
namespace {

class ThreadPoolOf : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolOf, CoversEachElementOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (const std::int64_t count : {0, 1, 2, 3, 4, 5, 7, 1000, 12345}) {
    const auto visits = std::make_unique<std::atomic<int>[]>(static_cast<std::size_t>(count) + 1);
    std::atomic<int> calls = 0;
    pool.parallel_for(count, [&](std::int64_t first, std::int64_t last) {
      EXPECT_LT(first, last);
      ++calls;
      for (std::int64_t i = first; i < last; ++i) ++visits[static_cast<std::size_t>(i)];
    });
    for (std::int64_t i = 0; i < count; ++i)
      ASSERT_EQ(visits[static_cast<std::size_t>(i)], 1) << i << " of " << count;
    EXPECT_LE(calls, GetParam());
    EXPECT_EQ(calls == 0, count == 0);
  }
}

// Loops that follow each other at once: no thread may miss one, or take part in one twice.
TEST_P(ThreadPoolOf, RunsLoopAfterLoop) {
  ThreadPool pool(GetParam());
  std::atomic<std::int64_t> sum = 0;
  constexpr int kLoops = 500;
  for (int loop = 0; loop < kLoops; ++loop) {
    pool.parallel_for(10, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) sum += i;
    });
    ASSERT_EQ(sum, (loop + 1) * 45) << "a loop returned before it was done";
  }
}

// Whichever thread fails, the one that called hears of it once all are done; the next loop is like any other.
TEST_P(ThreadPoolOf, ThrowsWhatAPieceHasThrown) {
  ThreadPool pool(GetParam());
  for (std::int64_t failing = 0; failing < 10; ++failing) {
    std::atomic<int> calls = 0;
    const auto run = [&](std::int64_t bad) {
      pool.parallel_for(10, [&](std::int64_t first, std::int64_t last) {
        ++calls;
        if (first <= bad && bad < last) throw std::bad_alloc();
      });
    };
    EXPECT_THROW(run(failing), std::bad_alloc);
    EXPECT_EQ(calls, GetParam());
    EXPECT_NO_THROW(run(-1));
  }
}

TEST_P(ThreadPoolOf, EndsWithoutEverHavingRun) { const ThreadPool pool(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolOf, testing::Range(1, 5));

}  // namespace
}  // namespace tpbench
