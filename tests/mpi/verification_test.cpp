#include "bench/verification.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "faulty_parts.hpp"
#include "narrow_backend.hpp"
#include "verify.hpp"

namespace tpbench::test {
namespace {

constexpr std::int64_t kSampledRows = 8;

class Verification : public testing::TestWithParam<std::tuple<Variant, DType>> {
 protected:
  static DType dtype() { return std::get<1>(GetParam()); }
  Case point() const { return case_on_all(std::get<0>(GetParam()), dtype()); }
  void SetUp() override {
    if (is_narrow(dtype()) && world().size() != 2) GTEST_SKIP() << "narrow types are looked at on two ranks";
  }
};

TEST_P(Verification, PassesInEveryMode) {
  for (const VerifyMode mode : {VerifyMode::full, VerifyMode::sampled, VerifyMode::automatic}) {
    const VerificationResult result = verify(point(), narrow_parts(), mode);
    EXPECT_EQ(result.passed, true) << name_of(mode) << ", error " << result.max_relative_error.value_or(-1);
    EXPECT_LE(result.max_relative_error, result.tolerance);
    if (mode == VerifyMode::sampled || is_narrow(point().dtype)) {
      EXPECT_LE(result.worst_operation.value_or(2), 1);
      EXPECT_GT(result.operations_checked + (find_workload(point().workload)->uses.num_layers ? 0 : 1), 0);
    }
    // By samples, a rank whose rows begin in the middle of a sequence has none that are cheap.
    if (mode != VerifyMode::sampled || world().rank() == 0) {
      EXPECT_GT(result.rows_checked, 0);
    }
    if (mode != VerifyMode::sampled) {
      EXPECT_EQ(result.method, "full");
    }
  }
  EXPECT_EQ(verify(point(), narrow_parts(), VerifyMode::off).method, "none");
}

TEST_P(Verification, ComparesFewRowsWhenItSamples) {
  const VerificationResult result = verify(point(), narrow_parts());
  EXPECT_EQ(result.method, "sampled");
  // Of two layers, and one of what stands behind them.
  EXPECT_LE(result.rows_checked, kSampledRows * 2 + 1);
}

// One entry of one result of each collective of the first step is wrong on one rank, in a row that is not
// compared: only the check of the operation can tell.
TEST_P(Verification, FindsOneWrongEntryOfEachCollective) {
  const Cost cost = point().workload_row().cost(point().shape());
  std::int64_t calls = 0;
  for (const CollectiveCost& collective : cost.collectives) calls += collective.calls_per_step;
  for (std::int64_t call = 1; call <= calls; ++call) {
    InjectedFault fault{.kind = FaultKind::wrong_sum, .rank = world().size() - 1, .step = call};
    const VerificationResult result = verify(point(), with_fault(narrow_parts(), fault, world().rank()));
    EXPECT_EQ(result.passed, false) << "call " << call << ", error "
                                    << result.max_relative_error.value_or(-1);
  }
}

// The same for the products: a GEMM that does nothing leaves poison, or what was there before.
TEST_P(Verification, FindsEachGemmThatDoesNothing) {
  if (world().size() > 2) GTEST_SKIP() << "a rank's own work, as on two";
  const Cost cost = point().workload_row().cost(point().shape());
  if (cost.flop() == 0) GTEST_SKIP() << "no GEMM";
  // The number of GEMMs is not known; a fault beyond the last one is none.
  std::int64_t found = 0;
  for (std::int64_t gemm = 1; gemm <= 12; ++gemm) {
    const InjectedFault fault{.kind = FaultKind::no_gemm, .rank = 0, .step = gemm};
    const VerificationResult result = verify(point(), with_fault(narrow_parts(), fault, world().rank()));
    found += result.passed == false ? 1 : 0;
    if (result.passed == true) break;
  }
  EXPECT_GE(found, (point().pass == Pass::forward_backward ? 3 : 1) * point().shape().num_layers);
}

INSTANTIATE_TEST_SUITE_P(All, Verification,
                         testing::Combine(testing::ValuesIn(all_variants()),
                                          testing::Values(DType::f32, DType::f64, DType::tf32, DType::f16,
                                                          DType::bf16)),
                         [](const auto& test) {
                           return name_of_variant(std::get<0>(test.param)) + "_" +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

TEST(ChosenRows, AreSortedAndHaveBothEnds) {
  for (const std::int64_t rows : {9, 40, 100000}) {
    const auto chosen = choose_rows(rows, kSampledRows, 3);
    EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
    EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
    EXPECT_EQ(chosen.front(), 0);
    EXPECT_EQ(chosen.back(), rows - 1);
    EXPECT_LE(static_cast<std::int64_t>(chosen.size()), kSampledRows);
  }
  EXPECT_EQ(choose_rows(3, 8, 1), (std::vector<std::int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace tpbench::test
