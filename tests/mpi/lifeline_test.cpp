#include "comm/lifeline.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "world.hpp"

namespace tpbench::test {
namespace {

using namespace std::chrono_literals;

// As if each rank stood on a host of its own.
std::vector<int> hosts_apart() {
  std::vector<int> hosts(static_cast<std::size_t>(world().size()));
  for (std::size_t rank = 0; rank < hosts.size(); ++rank) hosts[rank] = static_cast<int>(rank);
  return hosts;
}

std::vector<PeerNews> read_until(Lifeline& line, std::size_t connected, std::size_t news) {
  std::vector<PeerNews> all;
  for (auto waited = 0ms; waited < 20s; waited += 5ms) {
    for (PeerNews& heard : line.read()) all.push_back(heard);
    if (line.connected() == connected && all.size() >= news) break;
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_EQ(line.connected(), connected);
  return all;
}

std::size_t others() { return world().rank() == 0 ? static_cast<std::size_t>(world().size()) - 1 : 1; }

TEST(Lifeline, IsNotMadeInsideAHost) {
  const std::vector<int> one(static_cast<std::size_t>(world().size()), 0);
  Lifeline line(world(), one);
  EXPECT_EQ(line.descriptor(), -1);
  EXPECT_TRUE(line.read().empty());
}

TEST(Lifeline, BelongsToTheFirstRankOfEachHost) {
  if (world().size() < 3) GTEST_SKIP() << "needs two ranks on a host other than the first";
  std::vector<int> hosts(static_cast<std::size_t>(world().size()), 1);
  hosts[0] = 0;
  Lifeline line(world(), hosts);
  EXPECT_EQ(line.descriptor() >= 0, world().rank() < 2);
  if (world().rank() < 2) read_until(line, 1, 0);
  world().barrier();
}

TEST(Lifeline, CarriesWhatIsSaid) {
  if (world().size() < 2) GTEST_SKIP() << "needs a peer";
  Lifeline line(world(), hosts_apart());
  EXPECT_TRUE(read_until(line, others(), 0).empty()) << "to connect is no news";
  world().barrier();
  if (world().rank() == 1) line.report("lost a line\nof \"two\"");
  if (world().rank() == 0) {
    const auto news = read_until(line, others() - 1, 1);
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, PeerNews::Kind::report);
    EXPECT_EQ(news[0].world_rank, 1);
    EXPECT_EQ(news[0].text, "lost a line\nof \"two\"");
    EXPECT_NE(news[0].who.find("rank 1 (process "), std::string::npos) << news[0].who;
    line.say_leaving();
  } else if (world().rank() > 1) {
    const auto news = read_until(line, 0, 1);
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, PeerNews::Kind::leaving);
    EXPECT_EQ(news[0].world_rank, 0);
  }
  world().barrier();
}

TEST(Lifeline, AnEndInOrderIsNoNews) {
  if (world().size() < 2) GTEST_SKIP() << "needs a peer";
  std::optional<Lifeline> line(std::in_place, world(), hosts_apart());
  read_until(*line, others(), 0);
  world().barrier();
  if (world().rank() == 1) line.reset();
  if (world().rank() == 0) {
    EXPECT_TRUE(read_until(*line, others() - 1, 0).empty());
    std::this_thread::sleep_for(50ms);
    EXPECT_TRUE(line->read().empty());
  }
  world().barrier();
}

}  // namespace
}  // namespace tpbench::test
