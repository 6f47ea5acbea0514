#include "report/useful_degree.hpp"

#include <gtest/gtest.h>

#include "../result/sample_record.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

using sample::make_case;
using sample::make_not_ok;
using sample::make_ok;
using sample::Parts;

std::vector<UsefulDegree> find(std::vector<Record> records, double floor = 0.5) {
  apply_scaling(records);
  return useful_degrees(records, floor);
}

UsefulDegree find_one(const std::vector<Record>& records, double floor = 0.5) {
  const auto all = find(records, floor);
  EXPECT_EQ(all.size(), 1U);
  return all.at(0);
}

Record base() { return make_ok(make_case("mlp", 1), {.compute = 8}); }

// Degree 1 takes 8 s, degree 2 is good, degree 4 has these parts: its ideal step is 2 s.
UsefulDegree stopped_at_4(const Parts& parts) {
  return find_one({make_ok(make_case("mlp", 4), parts), base(),
                   make_ok(make_case("mlp", 2), {.compute = 4, .communication = 0.938})});
}

TEST(UsefulDegree, IsTheLargestThatReachesTheFloor) {
  const UsefulDegree useful = stopped_at_4({.compute = 2, .communication = 3.2});
  EXPECT_EQ(useful.degree, 2);
  EXPECT_EQ(useful.next, 4);
  EXPECT_EQ(useful.stop, Stop::communication);
  EXPECT_NEAR(useful.stop_share.value(), 3.2 / 5.2, 1e-9);
  EXPECT_EQ(useful.sentence,
            "mlp h=4096 T=128: fastest at TP 2 (4.94 s, 1.62 times as fast as TP 1); efficiency at least "
            "0.50 up to "
            "TP 2 (0.81). TP 4 (0.38): communication takes 3.20 s of 5.20 s. Not certain: TP 4 with 5.20 s "
            "may be as "
            "fast.");
}

// Medians of 8 s and 5.2 s: an efficiency of 0.77 at degree 2, where the floor lies far away or inside.
TEST(UsefulDegree, IsNotCertainWhereIntervalsReachTheFloor) {
  Record wide = make_ok(make_case("mlp", 2), {.compute = 5.2});
  EXPECT_TRUE(find_one({base(), wide}).doubtful.empty());
  wide.time->step.summary.ci95 = {{4.0, 8.9}};
  const UsefulDegree doubtful = find_one({base(), wide});
  EXPECT_EQ(doubtful.doubtful, std::vector<std::int64_t>{2});
  EXPECT_EQ(doubtful.degree, 2);
  EXPECT_NE(doubtful.sentence.find(" No conclusion: the efficiency of TP 2 is between 0.4"),
            std::string::npos)
      << doubtful.sentence;
  EXPECT_TRUE(find_one({base(), wide}, 0.3).doubtful.empty());

  wide.time->step.summary.ci95.reset();
  EXPECT_NE(find_one({base(), wide}).sentence.find("too few independent samples for an interval of TP 2"),
            std::string::npos);
}

TEST(UsefulDegree, IsNotCertainWhereTheNextDegreeMightReachTheFloor) {
  Record wide = make_ok(make_case("mlp", 2), {.compute = 9});
  wide.time->step.summary.ci95 = {{7, 20}};
  const UsefulDegree doubtful = find_one({base(), wide});
  EXPECT_EQ(doubtful.degree, 1);
  EXPECT_EQ(doubtful.doubtful, std::vector<std::int64_t>{2});
}

// A degree with this efficiency, whose interval is so much wide to each side of its median.
Record with_efficiency(std::int64_t degree, double efficiency, double half_width = 0.01) {
  const double step = 8 / (static_cast<double>(degree) * efficiency);
  Record record = make_ok(make_case("mlp", degree), {.compute = step});
  record.time->step.summary.ci95 = {{step * (1 - half_width), step * (1 + half_width)}};
  return record;
}

TEST(UsefulDegree, NamesDegreesBelowTheFloorUnderIt) {
  const UsefulDegree useful = find_one({base(), with_efficiency(2, 0.4), with_efficiency(4, 0.6)});
  EXPECT_EQ(useful.degree, 4);
  EXPECT_EQ(useful.below_floor, std::vector<std::int64_t>{2});
  EXPECT_EQ(useful.sentence,
            "mlp h=4096 T=128: fastest at TP 4 (3.33 s, 2.40 times as fast as TP 1); efficiency at least "
            "0.50 up to "
            "TP 4 (0.60), the largest TP tested, but TP 2 (0.40) is below the floor.");
  const UsefulDegree two = find_one({base(), with_efficiency(2, 0.4), with_efficiency(4, 0.3),
                                     with_efficiency(8, 0.6), with_efficiency(16, 0.2)});
  EXPECT_EQ(two.below_floor, (std::vector<std::int64_t>{2, 4}))
      << "those above it are the next degree's matter";
  EXPECT_NE(two.sentence.find("TP 8 (0.60), but TP 2 (0.40) and TP 4 (0.30) are below the floor. TP 16"),
            std::string::npos)
      << two.sentence;
  EXPECT_TRUE(find_one({base(), with_efficiency(2, 0.8), with_efficiency(4, 0.6)}).below_floor.empty());
}

// What lies behind the next degree, or under the chosen one, may change the verdict as well.
TEST(UsefulDegree, DoubtsEveryDegreeWhoseIntervalSpansTheFloor) {
  const UsefulDegree behind =
      find_one({base(), with_efficiency(2, 0.2), with_efficiency(4, 0.48, 0.2), with_efficiency(8, 0.1)});
  EXPECT_EQ(behind.degree, 1);
  EXPECT_EQ(behind.doubtful, std::vector<std::int64_t>{4});
  EXPECT_NE(behind.sentence.find(" Not certain: the efficiency of TP 4 is between 0.39 and 0.62"),
            std::string::npos)
      << behind.sentence;

  const UsefulDegree under = find_one(
      {base(), with_efficiency(2, 0.52, 0.2), with_efficiency(4, 0.48, 0.2), with_efficiency(8, 0.7)});
  EXPECT_EQ(under.degree, 8);
  EXPECT_EQ(under.below_floor, std::vector<std::int64_t>{4});
  EXPECT_EQ(under.doubtful, (std::vector<std::int64_t>{2, 4}));
  EXPECT_EQ(under.doubt,
            "the efficiency of TP 2 is between 0.42 and 0.67 and that of TP 4 is between 0.39 and 0.62");

  Record unknown = with_efficiency(4, 0.3);
  unknown.time->step.summary.ci95.reset();
  const UsefulDegree both =
      find_one({base(), with_efficiency(2, 0.52, 0.2), unknown, with_efficiency(8, 0.1)});
  EXPECT_EQ(both.doubtful, (std::vector<std::int64_t>{2, 4}));
  EXPECT_EQ(both.doubt,
            "the efficiency of TP 2 is between 0.42 and 0.67; there are too few independent samples for an "
            "interval of TP "
            "4");
}

TEST(UsefulDegree, BlamesTheUnshardedCaseForWhatItLacks) {
  Record one = base();
  one.time->step.summary.ci95.reset();
  const UsefulDegree useful = find_one({one, with_efficiency(2, 0.8), with_efficiency(4, 0.2)});
  EXPECT_EQ(useful.doubtful, (std::vector<std::int64_t>{2, 4}));
  EXPECT_EQ(useful.doubt, "there are too few independent samples for an interval of TP 1");
}

TEST(UsefulDegree, NamesThePartWithTheLargestExcess) {
  const UsefulDegree compute = stopped_at_4({.compute = 6, .communication = 1});
  EXPECT_EQ(compute.stop, Stop::compute);
  EXPECT_NEAR(compute.stop_share.value(), 4.0 / 7, 1e-9);
  EXPECT_NE(compute.sentence.find("TP 4 (0.29): compute did not shrink with TP: 6.00 s, ideal 2.00 s."),
            std::string::npos)
      << compute.sentence;
  // Compute of 4 s is the largest part, yet only 2 s of it are too much.
  EXPECT_EQ(stopped_at_4({.compute = 4, .communication = 3}).stop, Stop::communication);
  EXPECT_EQ(stopped_at_4({.compute = 4, .communication = 0.5, .wait = 3, .other = 0.5}).stop, Stop::wait);
  EXPECT_EQ(stopped_at_4({.compute = 2, .communication = 0.5, .wait = 0.5, .other = 4}).stop, Stop::other);
}

// What ranks wait as the network lets them go one after the other is the network's.
TEST(UsefulDegree, TellsLateRanksFromTheNetwork) {
  Record four = make_ok(make_case("mlp", 4), {.compute = 2, .communication = 3, .wait = 4});
  four.time->imbalance = sample::make_quantity(0.5);
  Record two = make_ok(make_case("mlp", 2), {.compute = 4, .communication = 0.5});
  EXPECT_EQ(find_one({base(), two, four}).stop, Stop::communication);
  four.time->imbalance = sample::make_quantity(4);
  const UsefulDegree late = find_one({base(), two, four});
  EXPECT_EQ(late.stop, Stop::wait);
  EXPECT_NE(late.sentence.find("TP 4 (0.40): ranks wait 4.00 s of 5.00 s for late ones."), std::string::npos)
      << late.sentence;
}

TEST(UsefulDegree, CannotSayWhatTheClocksCannotTell) {
  Record four = make_ok(make_case("mlp", 4), {.compute = 2, .communication = 3});
  four.time->communication = {};
  Record two = make_ok(make_case("mlp", 2), {.compute = 4, .communication = 0.5});
  const UsefulDegree useful = find_one({base(), two, four});
  EXPECT_EQ(useful.stop, Stop::unknown);
  EXPECT_NE(useful.sentence.find("cannot say whether by communication or by waiting"), std::string::npos)
      << useful.sentence;
  Record slow = make_ok(make_case("mlp", 4), {.compute = 6, .communication = 1});
  slow.time->communication = {};
  EXPECT_EQ(find_one({base(), two, slow}).stop, Stop::compute) << "which no clock has to tell";
}

TEST(UsefulDegree, ChargesTheRestToOtherWhenNoPartShowsTheExcess) {
  Record slow = make_ok(make_case("mlp", 2), {.compute = 4});
  slow.time->step.summary.median = 10;  // medians need not add up
  const UsefulDegree useful = find_one({base(), slow});
  EXPECT_EQ(useful.stop, Stop::other);
  EXPECT_NEAR(useful.stop_share.value(), 0.6, 1e-9);
}

TEST(UsefulDegree, SaysWhyTheNextDegreeDidNotRun) {
  const struct {
    Status status;
    ReasonCode code;
    Stop stop;
  } outcomes[] = {{Status::skipped, ReasonCode::divisibility, Stop::divisibility},
                  {Status::skipped, ReasonCode::ranks, Stop::ranks},
                  {Status::skipped, ReasonCode::placement, Stop::placement},
                  {Status::skipped, ReasonCode::memory, Stop::memory},
                  {Status::failed, ReasonCode::verification, Stop::verification},
                  {Status::failed, ReasonCode::error, Stop::error},
                  {Status::failed, ReasonCode::watchdog, Stop::watchdog}};
  for (const auto& outcome : outcomes) {
    const UsefulDegree useful =
        find_one({base(), make_not_ok(make_case("mlp", 3), outcome.status, outcome.code, "the reason"),
                  make_not_ok(make_case("mlp", 8), Status::skipped, ReasonCode::ranks, "later")});
    EXPECT_EQ(useful.degree, 1);
    EXPECT_EQ(useful.next, 3);
    EXPECT_EQ(useful.stop, outcome.stop);
    EXPECT_FALSE(useful.stop_share);
    const std::string outcome_words = outcome.code == ReasonCode::ranks   ? "not run: 8 ranks available"
                                      : outcome.status == Status::skipped ? "not run: the reason"
                                                                          : "failed: the reason";
    EXPECT_EQ(
        useful.sentence,
        "mlp h=4096 T=128: fastest at TP 1 (8.00 s); efficiency at least 0.50 up to TP 1 (1.00). TP 3 " +
            outcome_words + ".");
  }
}

TEST(UsefulDegree, PassesOverADegreeThatDidNotRun) {
  const UsefulDegree useful =
      find_one({base(), make_not_ok(make_case("mlp", 3), Status::skipped, ReasonCode::divisibility, "no"),
                make_ok(make_case("mlp", 4), {.compute = 2})});
  EXPECT_EQ(useful.degree, 4);
  EXPECT_FALSE(useful.stop);
  EXPECT_EQ(useful.sentence,
            "mlp h=4096 T=128: fastest at TP 4 (2.00 s, 4.00 times as fast as TP 1); efficiency at least "
            "0.50 up to "
            "TP 4 (1.00), the largest TP tested.");
}

TEST(UsefulDegree, CannotBeStatedWithoutTheUnshardedCase) {
  const Record sharded = make_ok(make_case("mlp", 2), {.compute = 4});
  const UsefulDegree absent = find_one({sharded});
  EXPECT_FALSE(absent.degree);
  EXPECT_EQ(
      absent.sentence,
      "mlp h=4096 T=128: fastest at TP 2 (4.00 s); efficiency cannot be stated without a tp_degree 1 case.");
  const UsefulDegree failed =
      find_one({sharded, make_not_ok(make_case("mlp", 1), Status::failed, ReasonCode::error, "x")});
  EXPECT_EQ(
      failed.sentence,
      "mlp h=4096 T=128: fastest at TP 2 (4.00 s); efficiency cannot be stated without a tp_degree 1 case "
      "that is ok (it is failed).");
}

TEST(UsefulDegree, ClaimsNothingFromOneDegree) {
  EXPECT_EQ(find_one({base()}).sentence, "mlp h=4096 T=128: TP 1 is the only degree tested (8.00 s).");
  EXPECT_EQ(find_one({base()}, 1.5).sentence,
            "mlp h=4096 T=128: fastest at TP 1 (8.00 s); no TP reaches efficiency 1.50.");
}

TEST(UsefulDegree, NamesWhatTellsSeriesApart) {
  Case other = make_case("mlp", 1);
  other.dtype = DType::f64;
  other.batch_size = 2;
  other.sequence_length = 64;
  const auto all =
      find({base(), make_ok(other, {.compute = 1}), make_ok(make_case("gemm", 1), {.compute = 1})});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].sentence.substr(0, all[0].sentence.find(':')),
            "gemm h=4096 T=128 dtype=f32 batch=1 seq=128");
  EXPECT_EQ(all[1].sentence.substr(0, all[1].sentence.find(':')),
            "mlp h=4096 T=128 dtype=f32 batch=1 seq=128");
  EXPECT_EQ(all[2].sentence.substr(0, all[2].sentence.find(':')),
            "mlp h=4096 T=128 dtype=f64 batch=2 seq=64");
}

// TP 4 reaches the floor and is slower all the same.
TEST(UsefulDegree, FastestIsSaidBeforeWhatIsEfficient) {
  const UsefulDegree useful = find_one({base(), with_efficiency(2, 0.9), with_efficiency(4, 0.42)}, 0.4);
  EXPECT_EQ(useful.fastest, 2);
  EXPECT_EQ(useful.degree, 4);
  EXPECT_NE(useful.sentence.find(
                "fastest at TP 2 (4.44 s, 1.80 times as fast as TP 1); efficiency at least 0.40 up "
                "to TP 4 (0.42, yet slower), the largest TP tested."),
            std::string::npos)
      << useful.sentence;
}

TEST(UsefulDegree, NamesDegreesThatMayBeAsFast) {
  const UsefulDegree useful =
      find_one({base(), with_efficiency(2, 0.9, 0.1), with_efficiency(4, 0.44, 0.1)}, 0.2);
  EXPECT_EQ(useful.fastest, 2);
  EXPECT_FALSE(useful.is_certain());
  EXPECT_NE(useful.sentence.find("Not certain: TP 4 with 4.55 s may be as fast."), std::string::npos)
      << useful.sentence;
}

// ---- six machines, as their records say it

struct Scenario {
  const char* code;
  const char* message;
  const char* said;  ///< behind "TP 4 (0.29): "
};

TEST(UsefulDegree, NamesNoCauseWhereTheMachineMayBeIt) {
  const Scenario scenarios[] = {
      {"oversubscribed",
       "4 ranks on 2 cores of n1: times are not those of 4 devices; use as many ranks as cores",
       "cannot say why: 4 ranks on 2 cores of n1."},
      {"shared_core", "4 ranks are bound to 1 CPU(s) of n1: start them with --bind-to none",
       "cannot say why: 4 ranks are bound to 1 CPU(s) of n1."},
      {"slow_rank",
       "rank 3 (n1) computed 90 % longer than the other ranks did, over all samples: a slower core, another "
       "program "
       "there, or its binding",
       "cannot say why: rank 3 (n1) computed 90 % longer than the other ranks did, over all samples."},
      {"throttled_cpu",
       "the CPU quota of a cgroup stopped the ranks in 9 periods while they were sampled, 2 s in all: "
       "means and medians are those of the quota",
       "cannot say why: the CPU quota of a cgroup stopped the ranks in 9 periods while they were sampled, 2 "
       "s in all."},
      {"slow_blas", "rank 0 (n1): OpenBLAS multiplies with its kernels for Prescott",
       "cannot say why: the BLAS kernels are slow ones for this CPU."},
      {"machine_drift",
       "the machine changed while the case ran: a fixed product took 1 ms before and 2 ms after",
       "cannot say why: the machine changed meanwhile."},
      {nullptr, nullptr, "compute did not shrink with TP: 6.00 s, ideal 2.00 s."},
  };
  for (const Scenario& scenario : scenarios) {
    for (const bool of_baseline : {false, true}) {
      Record one = base(), four = make_ok(make_case("mlp", 4), {.compute = 6, .communication = 1});
      if (scenario.code != nullptr) (of_baseline ? one : four).warnings = {{scenario.code, scenario.message}};
      const UsefulDegree useful =
          find_one({one, make_ok(make_case("mlp", 2), {.compute = 4, .communication = 0.938}), four});
      EXPECT_NE(useful.sentence.find(std::string("TP 4 (0.29): ") + scenario.said), std::string::npos)
          << useful.sentence;
      EXPECT_EQ(useful.is_certain(), scenario.code == nullptr);
    }
  }
}

TEST(UsefulDegree, TheMachineIsSaidAlsoWhereNothingStops) {
  Record two = make_ok(make_case("mlp", 2), {.compute = 4.2});
  two.warnings = {{"oversubscribed", "2 ranks on 1 cores of n1: times are not those of 2 devices"}};
  const UsefulDegree useful = find_one({base(), two});
  EXPECT_NE(useful.sentence.find("the largest TP tested. Not certain: 2 ranks on 1 cores of n1."),
            std::string::npos)
      << useful.sentence;
}

TEST(UsefulDegree, ShapesThatAgreeAreOneSentence) {
  std::vector<Record> records;
  for (const std::int64_t hidden : {1024, 2048, 4096}) {
    records.push_back(make_ok(make_case("mlp", 1, hidden), {.compute = 8}));
    records.push_back(make_ok(make_case("mlp", 2, hidden),
                              {.compute = 4, .communication = 1e-4 * static_cast<double>(hidden)}));
  }
  EXPECT_EQ(verdict_sentences(find(records)),
            std::vector<std::string>{
                "All 3 shapes: fastest at TP 2 (1.81 to 1.95 times as fast as TP 1); efficiency at "
                "least 0.50 up to TP 2 (0.91 to 0.98), the largest TP tested."});
  records.push_back(make_ok(make_case("gemm", 1), {.compute = 8}));
  records.push_back(make_ok(make_case("gemm", 2), {.compute = 9}));
  const auto two = verdict_sentences(find(records));
  ASSERT_EQ(two.size(), 2U);
  EXPECT_TRUE(two[0].starts_with("gemm h=4096 T=128: fastest at TP 1 (8.00 s); ")) << two[0];
  EXPECT_TRUE(two[1].starts_with("mlp h=1024 T=128, mlp h=2048 T=128 and mlp h=4096 T=128: fastest"))
      << two[1];
}

TEST(UsefulDegree, SaysNothingOfProbesOfTheFabric) {
  EXPECT_TRUE(find({make_ok(make_case("all_reduce", 1), {.other = 1e-6}),
                    make_ok(make_case("all_reduce", 2), {.communication = 1e-3})})
                  .empty());
}

}  // namespace
}  // namespace tpbench
