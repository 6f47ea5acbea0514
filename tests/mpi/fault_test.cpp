// What goes wrong on one rank fails the case on all of them, and the next case runs.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "algorithms.hpp"
#include "base/error.hpp"
#include "faulty_parts.hpp"
#include "run_case.hpp"

namespace tpbench::test {
namespace {

class CaseWithFault : public testing::TestWithParam<std::tuple<Variant, std::string>> {
 protected:
  void SetUp() override {
    if (world().size() > 2 && (variant().pass != Pass::forward || variant().sequence_parallel))
      GTEST_SKIP() << "as on two ranks";
  }
  const UsedFields& uses() const { return find_workload(variant().workload)->uses; }
  static const Variant& variant() { return std::get<0>(GetParam()); }
  bool has_gemm() const { return uses().num_layers; }
  bool has_collective() const {
    const Cost cost = find_workload(variant().workload)->cost(point().shape());
    return cost.bytes_per_step() > 0;
  }
  static long last_rank() { return world().size() - 1; }

  Case point() const {
    Case point = make_case(variant(), {12, 60, 132, 6, 12, 12});
    point.algorithm = std::get<1>(GetParam());
    point.layout.tp = world().size();
    normalise_case(point);
    return point;
  }

  /// Runs the case with the fault, and behind it the same case as it should be.
  CaseOutcome run_with(const InjectedFault& fault) const {
    CaseOutcome outcome = run(point(), with_fault(built_in_parts(), fault, world().rank()));
    EXPECT_EQ(outcome.status, Status::failed);
    EXPECT_TRUE(outcome.samples.step_s.empty()) << "times of a failed case are no result";
    const CaseOutcome next = run(point(), built_in_parts());
    EXPECT_EQ(next.status, Status::ok) << "the case behind it: " << next.reason.value_or("");
    return outcome;
  }

  void expect_found_by_verification(const InjectedFault& fault) const {
    const CaseOutcome outcome = run_with(fault);
    EXPECT_EQ(outcome.reason_code, ReasonCode::verification) << outcome.reason.value_or("");
    EXPECT_EQ(outcome.verification.passed, false);
  }

  void expect_words(const InjectedFault& fault, const std::string& words) const {
    const CaseOutcome outcome = run_with(fault);
    EXPECT_EQ(outcome.reason_code, ReasonCode::error);
    const std::string expected = "rank " + std::to_string(fault.rank) + ": ";
    EXPECT_EQ(outcome.reason.value_or("").rfind(expected, 0), 0U) << outcome.reason.value_or("");
    EXPECT_NE(outcome.reason.value_or("").find(words), std::string::npos) << outcome.reason.value_or("");
  }
};

TEST_P(CaseWithFault, FindsAWrongWeightOnEachRank) {
  if (!has_gemm()) GTEST_SKIP() << "no weights";
  for (long rank = 0; rank < world().size(); ++rank) {
    expect_found_by_verification({.kind = FaultKind::wrong_weight, .rank = rank});
  }
}

TEST_P(CaseWithFault, FindsAWrongInputOnOneRank) {
  expect_found_by_verification({.kind = FaultKind::wrong_input, .rank = last_rank()});
}

TEST_P(CaseWithFault, FindsOneWrongEntryOfACollectivesResultOnEachRank) {
  if (!has_collective()) GTEST_SKIP() << "no collective";
  for (long rank = 0; rank < world().size(); ++rank) {
    expect_found_by_verification({.kind = FaultKind::wrong_sum, .rank = rank});
  }
}

TEST_P(CaseWithFault, FindsACollectiveThatMovesNothing) {
  if (!has_collective()) GTEST_SKIP() << "no collective";
  expect_found_by_verification({.kind = FaultKind::no_collective, .rank = last_rank()});
}

TEST_P(CaseWithFault, FindsAGemmThatDoesNothingByThePoison) {
  if (!has_gemm()) GTEST_SKIP() << "no GEMM";
  const CaseOutcome outcome = run_with({.kind = FaultKind::no_gemm, .rank = last_rank()});
  EXPECT_EQ(outcome.reason_code, ReasonCode::verification);
  EXPECT_EQ(outcome.verification.max_relative_error, std::nullopt) << "NaN has no error";
  EXPECT_NE(outcome.reason.value_or("").find("not a number"), std::string::npos)
      << outcome.reason.value_or("");
}

TEST_P(CaseWithFault, TellsEveryRankWhatFailedInSetUp) {
  for (long rank = 0; rank < world().size(); ++rank) {
    InjectedFault fault{.kind = FaultKind::exception, .place = FaultPlace::setup, .rank = rank};
    expect_words(fault, "an error put in by a test");
    fault.error = FaultError::bad_alloc;
    expect_words(fault, "bad_alloc");
  }
}

TEST_P(CaseWithFault, TellsEveryRankWhatFailedInFill) {
  InjectedFault fault{.kind = FaultKind::exception, .place = FaultPlace::fill, .rank = last_rank()};
  expect_words(fault, "an error put in by a test");
  fault.error = FaultError::bad_alloc;
  expect_words(fault, "bad_alloc");
}

TEST_P(CaseWithFault, TellsEveryRankWhatFailedInTheFirstStep) {
  if (!has_gemm()) GTEST_SKIP() << "no GEMM";
  for (long rank = 0; rank < world().size(); ++rank) {
    InjectedFault fault{.kind = FaultKind::exception, .place = FaultPlace::compute, .rank = rank};
    expect_words(fault, "an error put in by a test");
    fault.error = FaultError::bad_alloc;
    expect_words(fault, "bad_alloc");
  }
}

// What goes wrong has little to do with the algorithm: shm has the plain variants only.
std::vector<std::tuple<Variant, std::string>> variants_and_algorithms() {
  std::vector<std::tuple<Variant, std::string>> all;
  for (const Variant& variant : all_variants()) {
    all.emplace_back(variant, "mpi");
    if (variant.pass == Pass::forward && !variant.sequence_parallel) all.emplace_back(variant, "shm");
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, CaseWithFault, testing::ValuesIn(variants_and_algorithms()),
                         [](const auto& test) {
                           return name_of_variant(std::get<0>(test.param)) + "_" + std::get<1>(test.param);
                         });

// It is slower and right: what compares results must find the difference, not verification.
TEST(CaseWithFaults, AStretchedCaseIsOk) {
  Case point = make_case({"mlp"});
  point.layout.tp = world().size();
  const CaseOutcome outcome =
      run(point, with_fault(built_in_parts(), parse_fault("stretch:percent=50"), world().rank()));
  EXPECT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("");
  EXPECT_FALSE(outcome.samples.step_s.empty());
}

TEST(CaseWithFaults, AStretchSaysByHowMuch) {
  EXPECT_EQ(parse_fault("stretch").percent, 10);
  EXPECT_EQ(parse_fault("stretch:percent=25").percent, 25);
  EXPECT_THROW(parse_fault("stretch:percent=much"), std::invalid_argument);
}

// Several ranks fail at once: the lowest one speaks.
TEST(CaseWithFaults, NamesTheLowestFailingRank) {
  Case point = make_case({"row_linear"}, {12, 60, 132, 6, 12, 12});
  point.layout.tp = world().size();
  const InjectedFault fault{.kind = FaultKind::exception, .place = FaultPlace::fill};
  const CaseOutcome outcome = run(point, with_fault(built_in_parts(), fault, world().rank()));
  EXPECT_EQ(outcome.status, Status::failed);
  EXPECT_EQ(outcome.reason, "rank 0: an error put in by a test");
}

// While a piece is summed by one thread, the other one fails: every rank hears of it, and the next case runs.
TEST(CaseWithFaults, TellsEveryRankWhatFailedBesideAnOverlappedSum) {
  if (world().size() == 1) GTEST_SKIP() << "nothing to overlap with";
  Case point = make_case({"row_linear"}, {12, 60, 132, 6, 12, 12});
  point.layout.tp = world().size();
  point.overlap_chunks = 3;
  for (long rank = 0; rank < world().size(); ++rank) {
    for (const std::int64_t piece : {1, 2, 3}) {
      const InjectedFault fault{.kind = FaultKind::exception, .rank = rank, .step = piece};
      const CaseOutcome outcome = run(point, with_fault(built_in_parts(), fault, world().rank()));
      EXPECT_EQ(outcome.status, Status::failed);
      EXPECT_EQ(outcome.reason, "rank " + std::to_string(rank) + ": an error put in by a test");
      const InjectedFault wrong{.kind = FaultKind::wrong_sum, .rank = rank, .step = piece};
      EXPECT_EQ(run(point, with_fault(built_in_parts(), wrong, world().rank())).reason_code,
                ReasonCode::verification);
      const CaseOutcome next = run(point, built_in_parts());
      EXPECT_EQ(next.status, Status::ok) << next.reason.value_or("");
      ASSERT_TRUE(next.overlap.has_value());
      EXPECT_GT(next.overlap->compute_s, 0);
      EXPECT_GT(next.overlap->communication_s, 0);
      EXPECT_GE(next.overlap->serial_s, next.overlap->communication_s);
    }
  }
}

// A communicator may take all ranks to be made: one that does not come that far must not be waited for.
TEST(CaseWithFaults, TellsEveryRankThatOneHasNoBackend) {
  for (const AlgorithmEntry* algorithm : host_algorithms()) {
    Case point = make_case({"row_linear"});
    point.algorithm = algorithm->name;
    point.layout.tp = world().size();
    Parts parts = built_in_parts();
    const auto make_backend = parts.make_backend;
    parts.make_backend = [&](const BackendNeeds& needs) {
      if (world().rank() == world().size() - 1) throw CaseError("no backend here");
      return make_backend(needs);
    };
    const CaseOutcome outcome = run(point, parts);
    EXPECT_EQ(outcome.status, Status::failed) << algorithm->name;
    EXPECT_EQ(outcome.reason, "rank " + std::to_string(world().size() - 1) + ": no backend here");
    EXPECT_EQ(run(point, built_in_parts()).status, Status::ok) << algorithm->name;
  }
}

// After a failure of communication nobody can be asked: the caller must end the job.
TEST(CaseWithFaults, LetsACommunicationErrorThrough) {
  if (world().size() == 1) GTEST_SKIP() << "no collective on one rank";
  Case point = make_case({"row_linear"}, {12, 60, 132, 6, 12, 12});
  point.layout.tp = world().size();
  const InjectedFault fault{
      .kind = FaultKind::exception, .place = FaultPlace::collective, .error = FaultError::comm_error};
  EXPECT_THROW(run(point, with_fault(built_in_parts(), fault, world().rank())), CommError);
}

// In timed steps ranks do not ask each other: what is thrown there must not look like a case that failed in
// order.
TEST(CaseWithFaults, LetsThroughWhatIsThrownInATimedStep) {
  Case point = make_case({"row_linear"}, {12, 60, 132, 6, 12, 12});
  point.layout.tp = world().size();
  for (const std::int64_t step : {2, 3}) {  // warm-up and sampling
    const InjectedFault fault{.kind = FaultKind::exception, .step = step};
    EXPECT_THROW(run(point, with_fault(built_in_parts(), fault, world().rank())), CaseError)
        << "step " << step;
  }
}

}  // namespace
}  // namespace tpbench::test
