#include "comm/control.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <thread>

#include "world.hpp"

namespace tpbench::test {
namespace {

double sum_to(int n) { return n * (n + 1) / 2.0; }

// Long enough that MPI cannot send it with the envelope of a message.
std::string text_of(int rank) {
  return std::string(static_cast<std::size_t>(rank) * 50000, static_cast<char>('a' + rank));
}

TEST(Control, KnowsRankAndSize) {
  EXPECT_GE(world().rank(), 0);
  EXPECT_LT(world().rank(), world().size());
}

TEST(Control, ReducesElementByElement) {
  const int r = world().rank(), n = world().size();
  const auto values = [&] { return std::array<double, 3>{r + 1.0, -r - 1.0, 5.0}; };
  auto largest = values(), smallest = values(), sum = values();
  world().reduce_max(largest);
  world().reduce_min(smallest);
  world().reduce_sum(sum);
  EXPECT_EQ(largest, (std::array<double, 3>{static_cast<double>(n), -1, 5}));
  EXPECT_EQ(smallest, (std::array<double, 3>{1, static_cast<double>(-n), 5}));
  EXPECT_EQ(sum, (std::array<double, 3>{sum_to(n), -sum_to(n), 5.0 * n}));
  EXPECT_EQ(world().max(r * 0.5), (n - 1) * 0.5);
  EXPECT_EQ(world().min(r * 0.5), 0);
}

// Values that no double holds.
TEST(Control, ReducesIntegersAsWhatTheyAre) {
  constexpr std::int64_t kOdd = (std::int64_t{1} << 60) + 1;
  const std::int64_t r = world().rank(), n = world().size();
  const auto values = [&] { return std::array<std::int64_t, 2>{kOdd + 2 * r, -kOdd - 2 * r}; };
  auto largest = values(), smallest = values();
  world().reduce_max(largest);
  world().reduce_min(smallest);
  EXPECT_EQ(largest, (std::array<std::int64_t, 2>{kOdd + 2 * (n - 1), -kOdd}));
  EXPECT_EQ(smallest, (std::array<std::int64_t, 2>{kOdd, -kOdd - 2 * (n - 1)}));
  std::array<std::int64_t, 1> sum = {(std::int64_t{1} << 55) + 1};
  world().reduce_sum(sum);
  EXPECT_EQ(sum[0], n * ((std::int64_t{1} << 55) + 1));
  EXPECT_EQ(world().max(kOdd + r), kOdd + n - 1);
  EXPECT_EQ(world().min(kOdd + r), kOdd);
}

TEST(Control, UnitesBitSets) {
  const auto r = static_cast<unsigned>(world().rank()), n = static_cast<unsigned>(world().size());
  std::array<std::uint64_t, 2> sets = {std::uint64_t{1} << r, std::uint64_t{1} << 63};
  world().reduce_or(sets);
  EXPECT_EQ(sets, (std::array<std::uint64_t, 2>{(std::uint64_t{1} << n) - 1, std::uint64_t{1} << 63}));
}

TEST(Control, KnowsTheLargestOnlyWhenEachRankKnowsItsOwn) {
  using Known = std::optional<std::int64_t>;
  const std::int64_t r = world().rank(), last = world().size() - 1;
  EXPECT_EQ(world().max(Known(-5 - r)), Known(-5)) << "a negative number is one like any other";
  EXPECT_EQ(world().max(r == last ? Known() : Known(r)), Known());
}

TEST(Control, ReducesNothing) {
  world().reduce_max(std::span<double>());
  world().reduce_sum(std::span<std::int64_t>());
}

TEST(Control, BroadcastsFromRankZero) {
  const bool first = world().rank() == 0;
  EXPECT_EQ(world().broadcast(first ? std::int64_t{1} << 40 : std::int64_t{-1}), std::int64_t{1} << 40);
  EXPECT_EQ(world().broadcast(first ? std::string("a\0b", 3) : std::string("something longer")),
            std::string("a\0b", 3));
  EXPECT_EQ(world().broadcast(std::string()), "");
}

TEST(Control, GathersTextsOfUnevenLength) {
  const auto on_first = world().gather(text_of(world().rank()));
  const auto everywhere = world().all_gather(text_of(world().rank()));
  ASSERT_EQ(everywhere.size(), static_cast<std::size_t>(world().size()));
  EXPECT_EQ(on_first.empty(), world().rank() != 0);
  for (int r = 0; r < world().size(); ++r) {
    const auto i = static_cast<std::size_t>(r);
    EXPECT_TRUE(everywhere[i] == text_of(r)) << "text of rank " << r;
    if (!on_first.empty()) {
      EXPECT_TRUE(on_first[i] == text_of(r)) << "text of rank " << r;
    }
  }
}

TEST(Control, AgreesThatNothingIsWrong) { EXPECT_EQ(world().agree(std::nullopt), std::nullopt); }

TEST(Control, AgreesOnTheWordsOfEachSingleRank) {
  for (int failing = 0; failing < world().size(); ++failing) {
    const std::string words = "what rank " + std::to_string(failing) + " says";
    EXPECT_EQ(world().agree(world().rank() == failing ? std::optional(words) : std::nullopt), words);
  }
}

TEST(Control, AgreesOnTheWordsOfTheLowestOfSeveral) {
  const int lowest = world().size() / 2;
  const auto mine =
      world().rank() >= lowest ? std::optional("rank " + std::to_string(world().rank())) : std::nullopt;
  EXPECT_EQ(world().agree(mine), "rank " + std::to_string(lowest));
}

TEST(Control, AgreesOnAProblemWithoutWords) {
  EXPECT_EQ(world().agree(world().rank() == world().size() - 1 ? std::optional(std::string()) : std::nullopt),
            "");
}

// Rank 0 comes only when the others have said that they wait: so they were asked while they waited, and
// nobody left before rank 0 came.
TEST(Control, SleepingBarrierCallsThoseWhoWait) {
  Heartbeat& mine = session().heartbeat();
  mine.beat(Activity::none);
  world().barrier();
  bool came = false;
  if (world().rank() == 0) {
    for (int i = 0; i < 30000 && !came; ++i) {
      came = true;
      for (const Heartbeat* heartbeat : session().host_heartbeats()) {
        if (heartbeat != &mine && heartbeat->activity.load() != Activity::waiting) came = false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(came) << "some rank was never called while it waited";
    mine.beat(Activity::exchange);
  }
  world().sleeping_barrier([&] { mine.beat(Activity::waiting); });
  const Heartbeat& first = *session().host_heartbeats().front();
  if (world().rank() != 0) {
    EXPECT_NE(first.activity.load(), Activity::none) << "left before rank 0 came";
  }
  world().barrier();
  mine.beat(Activity::none);
}

TEST(Control, SleepingBarrierNeedsNobodyToCall) { world().sleeping_barrier({}); }

}  // namespace
}  // namespace tpbench::test
