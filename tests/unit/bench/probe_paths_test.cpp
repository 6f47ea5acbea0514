#include "bench/probe_paths.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "bench/probe.hpp"

namespace tpbench {
namespace {

using Ranks = std::vector<int>;

std::vector<Ranks> ranks_of(const ProbePlan& plan, PathKind kind, ProbeOperation operation) {
  std::vector<Ranks> ranks;
  for (const ProbePath& path : plan.paths) {
    if (path.kind == kind && path.operation == operation) ranks.push_back(path.ranks);
  }
  return ranks;
}

TEST(PlanProbe, OnePairOnOneHost) {
  const ProbePlan plan = plan_probe(Ranks{0, 0}, 28);
  ASSERT_EQ(plan.paths.size(), 2U) << "ping-pong and all-reduce, and nothing twice";
  for (const ProbePath& path : plan.paths) {
    EXPECT_EQ(path.kind, PathKind::inside_host);
    EXPECT_EQ(path.ranks, (Ranks{0, 1}));
    EXPECT_EQ(path.hosts, (Ranks{0}));
  }
}

TEST(PlanProbe, MoreRanksOfAHost) {
  const ProbePlan plan = plan_probe(Ranks{0, 0, 0, 0}, 28);
  EXPECT_EQ(ranks_of(plan, PathKind::inside_host, ProbeOperation::ping_pong),
            (std::vector<Ranks>{{0, 1}, {0, 3}}));
  EXPECT_EQ(ranks_of(plan, PathKind::inside_host, ProbeOperation::all_reduce),
            (std::vector<Ranks>{{0, 1}, {0, 1, 2, 3}}));
  EXPECT_TRUE(ranks_of(plan, PathKind::all_ranks, ProbeOperation::all_reduce).empty()) << "said already";
}

TEST(PlanProbe, EveryPairOfHosts) {
  // Ranks go round the hosts; the third host has one.
  const ProbePlan plan = plan_probe(Ranks{0, 1, 2, 0, 1}, 28);
  for (const ProbeOperation operation : {ProbeOperation::ping_pong, ProbeOperation::all_reduce}) {
    EXPECT_EQ(ranks_of(plan, PathKind::inside_host, operation), (std::vector<Ranks>{{0, 3}, {1, 4}}));
    EXPECT_EQ(ranks_of(plan, PathKind::between_hosts, operation),
              (std::vector<Ranks>{{0, 1}, {0, 2}, {1, 2}}));
  }
  EXPECT_EQ(ranks_of(plan, PathKind::all_ranks, ProbeOperation::all_reduce),
            (std::vector<Ranks>{{0, 1, 2, 3, 4}}));
  EXPECT_EQ(plan.pairs_probed, plan.pairs_possible);
}

TEST(PlanProbe, TwoHostsOfOneRankAreOnePair) {
  const ProbePlan plan = plan_probe(Ranks{0, 1}, 28);
  ASSERT_EQ(plan.paths.size(), 2U);
  EXPECT_EQ(plan.paths[0].kind, PathKind::between_hosts);
  EXPECT_EQ(plan.paths[0].hosts, (Ranks{0, 1}));
}

TEST(PlanProbe, IsBoundedAndAlwaysTheSame) {
  Ranks host_of;
  for (int host = 0; host < 100; ++host) host_of.insert(host_of.end(), 2, host);
  const ProbePlan plan = plan_probe(host_of, 28);
  EXPECT_EQ(plan.hosts_possible, 100U);
  EXPECT_EQ(plan.hosts_probed, 28U);
  EXPECT_EQ(plan.pairs_possible, 4950U);
  EXPECT_EQ(plan.pairs_probed, 28U);
  const auto pairs = ranks_of(plan, PathKind::between_hosts, ProbeOperation::ping_pong);
  ASSERT_EQ(pairs.size(), 28U);
  EXPECT_EQ(std::set<Ranks>(pairs.begin(), pairs.end()).size(), 28U) << "none twice";
  EXPECT_GT(pairs.back()[0], 2 * 50) << "spread over all hosts, not the first ones only";
  EXPECT_EQ(pairs, ranks_of(plan_probe(host_of, 28), PathKind::between_hosts, ProbeOperation::ping_pong));
}

TEST(ProbeSizes, DoubleUpToTheLargest) {
  ProbeSettings settings;
  settings.max_bytes = 100;
  EXPECT_EQ(probe_sizes(settings), (std::vector<std::int64_t>{8, 16, 32, 64, 96})) << "a multiple of 8";
  settings.max_bytes = 64;
  EXPECT_EQ(probe_sizes(settings), (std::vector<std::int64_t>{8, 16, 32, 64}));
  settings.quick = true;
  settings.max_bytes = 1024;
  EXPECT_EQ(probe_sizes(settings), (std::vector<std::int64_t>{8, 32, 128, 512, 1024}));
}

}  // namespace
}  // namespace tpbench
