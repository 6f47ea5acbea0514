#include "bench/reference_look.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace tpbench {
namespace {

ReferenceResult look(double gemm_s, double copy_s) {
  const ReferenceTimes times = {gemm_s, gemm_s * 1.01, copy_s, copy_s * 1.02};
  return {times, times};
}

// A launch whose machine moves by 2 %.
MachineHistory quiet(std::size_t ranks) {
  MachineHistory history;
  for (int i = 0; i < 9; ++i)
    history.add(ranks, look(1e-3 * (1 + 0.005 * (i % 5)), 2e-3 * (1 + 0.005 * (i % 4))));
  return history;
}

TEST(MachineHistory, KnowsNothingBeforeTheFifthCase) {
  MachineHistory history;
  for (int i = 0; i < 3; ++i) history.add(2, look(1e-3, 2e-3));
  EXPECT_FALSE(history.usual_gemm_s(2));
  EXPECT_FALSE(drift(look(2e-3, 2e-3), history, 2)) << "the first cases have nothing to be held against";
  history.add(2, look(1e-3, 1e-3));
  EXPECT_DOUBLE_EQ(history.usual_gemm_s(2).value(), 1e-3);
  EXPECT_DOUBLE_EQ(history.best_copy_s(2).value(), 1e-3);
  EXPECT_FALSE(history.usual_gemm_s(1)) << "one rank has the machine for itself";
}

TEST(Drift, IsNamedWithinACaseAndDuringASweep) {
  ReferenceResult changed = look(1e-3, 2e-3);
  changed.after.gemm_s = 1.2e-3;
  EXPECT_EQ(drift(changed, {}, 2).value(),
            "the machine changed while the case ran: a fixed product took 1.00 ms before the samples and "
            "1.20 ms after "
            "(20 % more); repeat with measure.epochs of 6 or more");
  EXPECT_NE(drift(look(1.3e-3, 2e-3), quiet(2), 2).value().find("during the sweep"), std::string::npos);
  EXPECT_TRUE(drift(look(0.85e-3, 2e-3), quiet(2), 2)) << "faster is a change too";
  EXPECT_FALSE(drift(look(1.05e-3, 2e-3), quiet(2), 2));
  EXPECT_FALSE(drift(look(1.3e-3, 2e-3), quiet(2), 1)) << "other ranks, another usual";
}

TEST(Neighbour, IsNamedByTheCopyAndByOneSlowRank) {
  EXPECT_NE(neighbour(look(1e-3, 3e-3), quiet(2), 2).value().find("50 % more"), std::string::npos);
  EXPECT_FALSE(neighbour(look(1e-3, 2.1e-3), quiet(2), 2));
  ReferenceResult one_slow = look(1e-3, 2e-3);
  one_slow.after.gemm_slowest_s = 1.9e-3;
  EXPECT_NE(neighbour(one_slow, {}, 4).value().find("1.90 times as long on the slowest rank"),
            std::string::npos);
}

ReferenceResult with_latency(double before_s, double after_s) {
  ReferenceResult here = look(1e-3, 2e-3);
  here.before.core_latency_s = before_s;
  here.after.core_latency_s = after_s;
  return here;
}

TEST(MovedCores, AreNamedWithinACaseAndDuringASweep) {
  MachineHistory history;
  EXPECT_TRUE(moved_cores(with_latency(25e-9, 55e-9), history, 2));
  EXPECT_TRUE(moved_cores(with_latency(55e-9, 25e-9), history, 2)) << "nearer is a change too";
  EXPECT_FALSE(moved_cores(with_latency(50e-9, 60e-9), history, 2));
  EXPECT_FALSE(moved_cores(with_latency(250e-9, 250e-9), history, 2)) << "nothing to be held against";
  for (int i = 0; i < 4; ++i) history.add(2, with_latency(50e-9, 55e-9));
  history.add(2, look(1e-3, 2e-3));  // ranks that share no host have none
  EXPECT_NE(moved_cores(with_latency(250e-9, 250e-9), history, 2)
                .value()
                .find("250 ns from one rank to the next beside this case and 52 ns beside those before it"),
            std::string::npos);
  EXPECT_FALSE(moved_cores(with_latency(250e-9, 250e-9), history, 4)) << "other ranks, another usual";
  EXPECT_FALSE(moved_cores(look(1e-3, 2e-3), history, 2)) << "not measured";
  EXPECT_FALSE(moved_cores(with_latency(250e-9, 250e-9), history, {2, Placement::spread})) << "elsewhere";
}

TEST(QuietMachine, IsNotComplainedOf) {
  MachineHistory history;
  for (int i = 0; i < 200; ++i) {
    const ReferenceResult here = look(1e-3 * (1 + 0.01 * (i * 7 % 5)), 2e-3 * (1 + 0.02 * (i * 3 % 5)));
    EXPECT_FALSE(drift(here, history, 2)) << i;
    EXPECT_FALSE(neighbour(here, history, 2)) << i;
    history.add(2, here);
  }
}

TEST(ReferenceWork, TakesTime) {
  ReferenceWork work;
  std::array<double, 3> seconds = {-1, -1, -1};
  work.time_products(seconds);
  // 0.13 GFLOP: no core does that in ten microseconds.
  EXPECT_TRUE(std::all_of(seconds.begin(), seconds.end(), [](double took) { return took > 1e-5; }));
  seconds = {-1, -1, -1};
  work.time_copies(seconds);
  EXPECT_TRUE(std::all_of(seconds.begin(), seconds.end(), [](double took) { return took > 1e-6; }));
}

}  // namespace
}  // namespace tpbench
