#include "compute/core_rate.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/json.hpp"
#include "compute/fma_loop.hpp"

namespace tpbench {
namespace {

TEST(CoreRate, SaysBothNumbersBelowItsBound) {
  EXPECT_FALSE(why_slow(DType::f32, {47.2, 118}));
  const std::string words = why_slow(DType::f32, {41, 118}).value();
  for (const char* part : {"f32", "41 GFLOP/s", "118 GFLOP/s", "35 %"})
    EXPECT_NE(words.find(part), std::string::npos) << part << ": " << words;
}

TEST(CoreRate, IsThereForTypesThatBlasMultipliesIn) {
  const CoreRates rates = {{100, 118}, {50, 59}};
  EXPECT_EQ(rates.of(DType::f32)->gemm_gflops, 100);
  EXPECT_EQ(rates.of(DType::f64)->loop_gflops, 59);
  EXPECT_FALSE(rates.of(DType::bf16));
  EXPECT_EQ(core_rates_to_json(core_rates_from_json(core_rates_to_json(rates))), core_rates_to_json(rates));
}

// Not how fast, but in proportion: half as many entries in a vector of doubles, and no product beyond the
// loop.
TEST(CoreRate, IsPlausibleHere) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the loop is not what it is without a sanitizer; the BLAS library is";
#endif
  CoreRates rates = measure_core_rates();
  // Another program may have taken the core from either of the two.
  for (int again = 0; again < 4 && std::max(rates.f32.share(), rates.f64.share()) >= 1.25; ++again)
    rates = measure_core_rates();
  EXPECT_GT(rates.f64.gemm_gflops, 0);
  EXPECT_GT(rates.f32.loop_gflops, rates.f64.loop_gflops);
  EXPECT_LT(rates.f32.share(), 1.25);
  EXPECT_LT(rates.f64.share(), 1.25);
}

TEST(FmaLoop, ComputesWhatItSays) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    // Every lane of every chain settles at 1 / (1 - 0.5).
    const double lanes = fma_loop_flop(dtype, 1) / 2;
    EXPECT_NEAR(run_fma_loop(dtype, 1000), 2 * lanes, 1e-4 * lanes);
    EXPECT_EQ(fma_loop_flop(dtype, 3), 3 * fma_loop_flop(dtype, 1));
  }
}

// In a child, as a limit that was lowered and what BLAS took last as long as the process.
int status_of_child(rlim_t limit, bool wants_problem) {
  const pid_t child = fork();
  if (child == 0) {
    const struct rlimit lowered = {limit, limit};
    if (setrlimit(RLIMIT_AS, &lowered) != 0) _exit(9);
    const auto& problem = why_blas_cannot_start(1);
    const std::string name = "ulimit -v " + std::to_string(limit / 1024);
    _exit(problem.has_value() != wants_problem                        ? 1
          : wants_problem && problem->find(name) == std::string::npos ? 2
                                                                      : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(WhyBlasCannotStart, NamesTheLimit) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers address terabytes";
#endif
  EXPECT_EQ(status_of_child(rlim_t{100} << 20, true), 0);
  EXPECT_EQ(status_of_child(rlim_t{64} << 30, false), 0);
}

}  // namespace
}  // namespace tpbench
