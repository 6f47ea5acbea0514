#include "bench/verification.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "faulty_parts.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

constexpr std::int64_t kTokens = 40, kHidden = 60, kFfn = 132;
constexpr std::int64_t kSampledRows = 8;

Case case_on_all(const Variant& variant, DType dtype) {
  Case point = make_case(variant, kTokens, kHidden, kFfn);
  point.dtype = dtype;
  point.tp_degree = world().size();
  point.num_layers = 2;
  normalise_case(point);
  return point;
}

// Verifies a case by samples, over parts that may have a fault in them.
VerificationResult verify(const Case& point, const Parts& parts, VerifyMode mode = VerifyMode::sampled) {
  const Team& team = team_for(point);
  const auto backend = parts.make_backend("cpu", 1);
  const auto communicator = parts.make_communicator("mpi", *team.group);
  const Shape shape = point.shape();
  const auto layer = find_layer(point.workload)->make({shape, point.seed, *backend, *communicator});
  Heartbeat heartbeat;
  layer->fill(heartbeat);
  const std::int64_t reduction_length = point.workload_row().cost(shape).reduction_length;
  return verify_layer(*layer, shape, mode, point.seed, reduction_length, team, *backend, heartbeat);
}

// A row that is in the sample of no weight set.
std::int64_t unsampled_row(const Case& point) {
  std::vector<char> sampled(kTokens);
  for (std::int64_t l = 0; l < point.shape().num_layers; ++l) {
    for (const std::int64_t row :
         rows_to_check(kTokens, kSampledRows, point.seed + static_cast<std::uint64_t>(l))) {
      sampled[static_cast<std::size_t>(row)] = 1;
    }
  }
  return std::find(sampled.begin(), sampled.end(), 0) - sampled.begin();
}

class Verification : public testing::TestWithParam<std::tuple<Variant, DType>> {
 protected:
  Case point() const { return case_on_all(std::get<0>(GetParam()), std::get<1>(GetParam())); }
};

TEST_P(Verification, PassesInEveryMode) {
  for (const VerifyMode mode : {VerifyMode::full, VerifyMode::sampled, VerifyMode::automatic}) {
    const VerificationResult result = verify(point(), built_in_parts(), mode);
    EXPECT_EQ(result.passed, true) << name_of(mode) << ", error " << result.max_relative_error.value_or(-1);
    EXPECT_LE(result.max_relative_error, result.tolerance);
    EXPECT_GT(result.rows_checked, 0);
    if (mode != VerifyMode::sampled) {
      EXPECT_EQ(result.method, "full");
    }
  }
  EXPECT_EQ(verify(point(), built_in_parts(), VerifyMode::off).method, "none");
}

TEST_P(Verification, SaysWhenItSampled) {
  if (!find_workload(point().workload)->uses.num_layers) GTEST_SKIP() << "a probe of this size is compared in full";
  const VerificationResult result = verify(point(), built_in_parts());
  EXPECT_EQ(result.method, "sampled");
  EXPECT_LE(result.rows_checked, kSampledRows * 2);
}

// One entry of one row that is not among the samples is wrong on one rank: only the sums over all rows can
// tell.
TEST_P(Verification, FindsOneWrongEntryInARowThatIsNotSampled) {
  if (world().size() == 1) GTEST_SKIP() << "no collective on one rank";
  const Cost cost = point().workload_row().cost(point().shape());
  const bool gathers = point().workload == "column_linear" && point().combine == Combine::all_gather;
  if (cost.collectives.empty()) GTEST_SKIP() << "no collective";
  if (cost.collectives[0].op != CollectiveOp::all_reduce && !gathers)
    GTEST_SKIP() << "few rows: always checked in full";
  // In the last weight set, so that every one must have been looked at.
  InjectedFault fault{
      .kind = FaultKind::wrong_sum, .rank = world().size() - 1, .step = point().shape().num_layers};
  const std::int64_t columns = gathers ? kHidden / world().size() : kHidden;
  fault.element = unsampled_row(point()) * columns + columns / 2;
  const VerificationResult result = verify(point(), with_fault(built_in_parts(), fault, world().rank()));
  EXPECT_EQ(result.method, "sampled");
  EXPECT_EQ(result.passed, false) << "error " << result.max_relative_error.value_or(-1);
}

INSTANTIATE_TEST_SUITE_P(All, Verification,
                         testing::Combine(testing::ValuesIn(all_variants()),
                                          testing::Values(DType::f32, DType::f64)),
                         [](const auto& test) {
                           return name_of_variant(std::get<0>(test.param)) + "_" +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

TEST(RowsToCheck, AreSortedAndHaveBothEnds) {
  for (const std::int64_t rows : {9, 40, 100000}) {
    const auto chosen = rows_to_check(rows, kSampledRows, 3);
    EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
    EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
    EXPECT_EQ(chosen.front(), 0);
    EXPECT_EQ(chosen.back(), rows - 1);
    EXPECT_LE(static_cast<std::int64_t>(chosen.size()), kSampledRows);
  }
  EXPECT_EQ(rows_to_check(3, 8, 1), (std::vector<std::int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace tpbench::test
