#include "comm/session.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "base/json.hpp"
#include "comm/mpi_info.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

TEST(Session, KnowsTheHostOfEachRank) {
  const auto hosts = session().host_of();
  ASSERT_EQ(hosts.size(), static_cast<std::size_t>(world().size()));
  const std::set<int> different(hosts.begin(), hosts.end());
  EXPECT_EQ(static_cast<int>(different.size()), session().host_count());
  EXPECT_EQ(hosts.front(), 0);
  EXPECT_EQ(session().host().size(),
            std::count(hosts.begin(), hosts.end(), hosts[static_cast<std::size_t>(world().rank())]));
}

// One machine that pretends to be several: what MPI takes for a node is cut by kernel and name.
TEST(Hosts, AreToldApartByKernelAndName) {
  const auto size = static_cast<std::size_t>(world().size());
  const std::vector<int> one(size, 0);
  std::vector<int> in_turn(size);
  for (std::size_t r = 0; r < size; ++r) in_turn[r] = static_cast<int>(r % 2);
  const bool odd = world().rank() % 2 == 1;
  EXPECT_EQ(find_hosts(world()).host_of, one);
  EXPECT_EQ(find_hosts(world(), odd ? "kernel1 node" : "kernel2 node").host_of, in_turn) << "one name";
  EXPECT_EQ(find_hosts(world(), odd ? "kernel1 b" : "kernel1 a").host_of, in_turn) << "one kernel";
  EXPECT_EQ(find_hosts(world(), odd ? "kernel1 b" : "kernel1 a").node_of, one);
}

TEST(Session, SharesHeartbeatsWithTheRanksOfTheHost) {
  const auto heartbeats = session().host_heartbeats();
  ASSERT_EQ(static_cast<int>(heartbeats.size()), session().host().size());
  EXPECT_EQ(session().heartbeat().world_rank.load(), world().rank());
  EXPECT_EQ(session().heartbeat().process_id.load(), getpid());
  EXPECT_EQ(heartbeats[static_cast<std::size_t>(session().host().rank())], &session().heartbeat());

  session().heartbeat().enter(Phase::report);
  session().heartbeat().step.store(100 + static_cast<std::uint64_t>(world().rank()));
  world().barrier();
  std::set<std::int64_t> processes;
  for (const Heartbeat* heartbeat : heartbeats) {
    EXPECT_EQ(heartbeat->step.load(), 100 + static_cast<std::uint64_t>(heartbeat->world_rank.load()));
    EXPECT_EQ(heartbeat->phase.load(), Phase::report);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(heartbeat) % alignof(Heartbeat), 0U)
        << "two ranks share a cache line";
    processes.insert(heartbeat->process_id.load());
  }
  EXPECT_EQ(processes.size(), heartbeats.size());
  world().barrier();
  session().heartbeat().enter(Phase::idle);
}

TEST(Session, MakesGroupsInTheOrderAsked) {
  std::vector<int> reversed(static_cast<std::size_t>(world().size()));
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  const Control group = session().make_group(reversed, 7);
  EXPECT_EQ(group.size(), world().size());
  EXPECT_EQ(group.rank(), world().size() - 1 - world().rank());
  EXPECT_EQ(group.broadcast(static_cast<std::int64_t>(world().rank())), world().size() - 1);
}

TEST(Session, MakesDisjointGroupsAtTheSameTime) {
  const int half = (world().size() + 1) / 2;
  const bool low = world().rank() < half;
  std::vector<int> members;
  for (int r = 0; r < world().size(); ++r) {
    if ((r < half) == low) members.push_back(r);
  }
  const Control group = session().make_group(members, 8);
  EXPECT_EQ(group.size(), static_cast<int>(members.size()));
  EXPECT_EQ(group.max(std::int64_t{world().rank()}), members.back());
  EXPECT_EQ(group.min(std::int64_t{world().rank()}), members.front());
}

// A group is made by its members alone: the others do not take part in anything.
TEST(Session, MakesAGroupWithoutTheOthers) {
  if (world().rank() == world().size() - 1) {
    const std::array<int, 1> alone = {world().rank()};
    const Control group = session().make_group(alone, 9);
    EXPECT_EQ(group.size(), 1);
    EXPECT_EQ(group.agree("x"), "x");
  }
}

TEST(MpiInfo, NamesTheLibraryWhileItRuns) {
  const Json info = describe_mpi();
  EXPECT_FALSE(info.at("library").is_null());
  const std::string level = info.at("thread_level").get<std::string>();
  EXPECT_EQ(session().threads_may_communicate(), level == "serialized" || level == "multiple");
}

}  // namespace
}  // namespace tpbench::test
