#include "comm/ping_pong.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <stdexcept>

#include "world.hpp"

namespace tpbench::test {
namespace {

// The first two ranks of the world; the others have nothing to do. Empty with one rank.
std::optional<Control> first_two() {
  if (world().size() < 2 || world().rank() > 1) return std::nullopt;
  return session().make_group(std::array{0, 1}, 50);
}

// Less than a word, a word, odd, around the limits under which MPI sends at once, and far above them.
constexpr std::int64_t kMessageSizes[] = {1, 7, 8, 9, 4095, 4096, 65536, 1000003};
constexpr std::int64_t kLargest = 1000003;

TEST(PingPong, BringsEveryByteThereAndBack) {
  const auto pair = first_two();
  if (!pair) return;
  PingPong ping_pong(*pair, kLargest);
  std::uint64_t stamp = 0;
  for (const std::int64_t bytes : kMessageSizes) {
    for (const std::int64_t rounds : {1, 3}) {
      ping_pong.prepare(bytes, ++stamp);
      ping_pong.run(rounds);
      EXPECT_EQ(ping_pong.find_wrong_byte(), std::nullopt) << bytes << " bytes, " << rounds << " rounds";
    }
  }
}

TEST(PingPong, SeesThatNothingArrived) {
  const auto pair = first_two();
  if (!pair) return;
  PingPong ping_pong(*pair, kLargest);
  for (const std::int64_t bytes : kMessageSizes) {
    ping_pong.prepare(bytes, 5);
    ping_pong.run(1);
    ping_pong.prepare(bytes, 5);
    ping_pong.run(0);
    EXPECT_NE(ping_pong.find_wrong_byte(), std::nullopt) << "also where the same payload stood before";
  }
}

TEST(PingPong, SeesOneWrongByteAnywhereOnBothRanks) {
  const auto pair = first_two();
  if (!pair) return;
  PingPong ping_pong(*pair, kLargest);
  for (const std::int64_t bytes : kMessageSizes) {
    for (const std::int64_t place : {std::int64_t{0}, bytes / 2, bytes - 1}) {
      ping_pong.prepare(bytes, 9);
      if (pair->rank() == 0) ping_pong.payload()[static_cast<std::size_t>(place)] ^= std::byte{1};
      ping_pong.run(1);
      const auto words = ping_pong.find_wrong_byte();
      ASSERT_TRUE(words) << bytes << " bytes, byte " << place;
      EXPECT_TRUE(words->starts_with("byte " + std::to_string(place) + " of a message of ")) << *words;
    }
  }
}

TEST(PingPong, SeesThePayloadOfAnotherStamp) {
  const auto pair = first_two();
  if (!pair) return;
  PingPong ping_pong(*pair, 64);
  ping_pong.prepare(64, pair->rank() == 0 ? 1 : 2);
  ping_pong.run(1);
  EXPECT_EQ(ping_pong.find_wrong_byte().has_value(), pair->rank() == 1);
}

TEST(PingPong, RefusesWhatIsNoPairAndNoSize) {
  const auto pair = first_two();
  if (!pair) return;
  EXPECT_THROW(PingPong(*pair, 0), std::invalid_argument);
  EXPECT_THROW(PingPong(*pair, std::int64_t{std::numeric_limits<int>::max()} + 1), std::invalid_argument);
  PingPong ping_pong(*pair, 16);
  EXPECT_THROW(ping_pong.prepare(17, 1), std::invalid_argument);
  EXPECT_THROW(ping_pong.prepare(0, 1), std::invalid_argument);
}

TEST(PingPong, NeedsTwoRanks) {
  if (world().size() == 2) return;
  EXPECT_THROW(PingPong(world(), 8), std::invalid_argument);
}

}  // namespace
}  // namespace tpbench::test
