#include "advisor/fit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "advisor/least_squares.hpp"
#include "known_machine.hpp"

namespace tpbench {
namespace {

Quantity exactly(double seconds) {
  Quantity quantity;
  quantity.samples_s = {seconds};
  quantity.summary.median = seconds;
  quantity.summary.samples = 1;
  return quantity;
}

// A record of the case as it would be on the machine that the calibration describes, times `noise()`.
template <typename Noise>
MeasuredCase measured_on(const Calibration& machine, const Case& point, const Noise& noise,
                         bool across = false) {
  const PredictedCase times = predict_case(machine, point, {across ? 1 : 0, {}});
  MeasuredCase measured;
  Record& record = measured.record;
  record.point = point;
  record.id = case_id(point);
  record.status = Status::ok;
  const double compute_s = times.compute.median_s * noise();
  const double communication_s = times.communication.median_s * noise();
  record.time = TimeResult{exactly(compute_s + communication_s + times.other_s), exactly(compute_s),
                           exactly(communication_s), exactly(0), exactly(times.other_s)};
  for (std::int64_t rank = 0; rank < point.layout.tp; ++rank)
    record.ranks.hosts.push_back(across ? std::string(1, static_cast<char>('a' + rank)) : "a");
  for (const CollectiveCost& cost : point.cost().collectives) {
    CollectiveResult collective = {cost.op, cost.bytes, cost.calls_per_step, cost.direction, cost.ranks,
                                   {},      {}};
    if (cost.calls_per_step > 0)
      collective.algbw_gb_per_s =
          static_cast<double>(cost.bytes * cost.calls_per_step) / communication_s / 1e9;
    record.collectives.push_back(collective);
  }
  return measured;
}

// Shapes that tell c, R and W apart: few and many tokens, narrow and wide.
std::vector<Case> sweep_of(const char* workload, std::vector<std::int64_t> degrees) {
  std::vector<Case> cases;
  for (const std::int64_t hidden_size : {512, 1024, 4096}) {
    for (const std::int64_t tokens : {16, 128, 2048}) {
      for (const std::int64_t degree : degrees) {
        Case point;
        point.workload = workload;
        point.hidden_size = hidden_size;
        point.batch_size = 1;
        point.sequence_length = tokens;
        point.layout.tp = degree;
        point.threads_per_rank = 1;
        normalise_case(point);
        cases.push_back(point);
      }
    }
  }
  return cases;
}

Evidence evidence_of(const Calibration& machine, double noise, bool across = false) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal(0, noise);
  Evidence evidence;
  evidence.sources.resize(1);
  for (const char* workload : {"row_linear", "mlp", "gemm"}) {
    for (const Case& point : sweep_of(workload, {1, 2}))
      evidence.cases.push_back(measured_on(
          machine, point, [&] { return std::exp(normal(random)); }, across));
  }
  return evidence;
}

double apart(double a, double b) { return std::abs(a / b - 1); }

TEST(Fit, RecoversAKnownMachineToOnePercent) {
  const Calibration known = known_machine();
  const Calibration fitted = fit_calibration(evidence_of(known, 0));
  ASSERT_EQ(fitted.compute.size(), 1U);
  const WorkRate& product = fitted.compute[0].rates[0];
  EXPECT_EQ(product.kind, WorkKind::product);
  EXPECT_LT(apart(product.s_per_flop, 1 / 50e9), 0.01);
  EXPECT_LT(apart(product.s_per_byte, 1 / 10e9), 0.01);
  EXPECT_LT(apart(product.call_s, 2e-6), 0.01);
  ASSERT_EQ(fitted.collectives.size(), 1U);
  const AlphaBeta& all_reduce = fitted.collectives[0].pieces[0].model;
  EXPECT_EQ(fitted.collectives[0].pieces.size(), 1U);
  EXPECT_LT(apart(all_reduce.alpha_s, 5e-6), 0.01);
  EXPECT_LT(apart(1 / all_reduce.beta_s_per_byte, 4e9), 0.01);
  EXPECT_LT(apart(fitted.other_s_per_step, 1e-6), 0.01);
  for (const PredictionError& error : fitted.errors) {
    if (error.quantity == "step" && error.left_out == "its shape") {
      EXPECT_LT(error.largest, 0.01);
    }
  }
}

TEST(Fit, IsOffByNoMoreThanTheNoise) {
  const Calibration known = known_machine();
  const Calibration fitted = fit_calibration(evidence_of(known, 0.05));
  const Calibration* machines[] = {&known, &fitted};
  for (const Case& point : sweep_of("mlp", {1, 2})) {
    double seconds[2];
    for (int i = 0; i < 2; ++i) seconds[i] = predict_case(*machines[i], point, {}).step.median_s;
    EXPECT_LT(apart(seconds[1], seconds[0]), 0.05) << case_id(point);
  }
  const WorkRate& product = fitted.compute[0].rates[0];
  EXPECT_LT(apart(product.s_per_flop, 1 / 50e9), 0.05);
  EXPECT_LT(apart(product.s_per_byte, 1 / 10e9), 0.05);
  EXPECT_GT(fitted.spread.compute, 0.02) << "the noise shows on what was left out";
  EXPECT_FALSE(fitted.spread.launches_measured);
}

TEST(Fit, TellsCollectivesThatCrossHostsFromThoseThatDoNot) {
  const Calibration known = known_machine();
  Evidence evidence = evidence_of(known, 0);
  for (MeasuredCase& across : evidence_of(known, 0, /*across=*/true).cases)
    evidence.cases.push_back(std::move(across));
  const Calibration fitted = fit_calibration(evidence);
  ASSERT_EQ(fitted.collectives.size(), 2U);
  EXPECT_EQ(fitted.collectives[0].reach, Reach::inside_host);
  EXPECT_EQ(fitted.collectives[1].reach, Reach::between_hosts);
  EXPECT_LT(apart(1 / fitted.collectives[1].pieces[0].model.beta_s_per_byte, 0.1e9), 0.01);
  Evidence one_host = evidence_of(known, 0);
  Case point = sweep_of("row_linear", {2})[0];
  EXPECT_THROW(predict_case(fit_calibration(one_host), point, {1, {}}), AdvisorError);
}

TEST(Fit, MeasuresHowRanksOnAHostSlowEachOther) {
  Calibration known = known_machine();
  known.compute[0].crowding = {{1, 1}, {2, 1.2}};
  const Calibration fitted = fit_calibration(evidence_of(known, 0));
  ASSERT_EQ(fitted.compute[0].crowding.size(), 2U);
  EXPECT_LT(apart(fitted.compute[0].crowding[1].factor, 1.2), 0.01);
  EXPECT_LT(apart(fitted.compute[0].rates[0].s_per_flop, 1 / 50e9), 0.01);
}

TEST(Fit, RefusesTooLittleAndSaysWhatToMeasure) {
  Evidence nothing;
  try {
    (void)fit_calibration(nothing);
    ADD_FAILURE() << "fitted";
  } catch (const AdvisorError& error) {
    EXPECT_NE(std::string(error.what()).find("Measure at least two sizes"), std::string::npos);
  }
  Evidence one = evidence_of(known_machine(), 0);
  one.cases.resize(1);
  EXPECT_THROW((void)fit_calibration(one), AdvisorError) << "one size of one degree fits any rate";
}

// An embedding has no library: it is no sign of another one, and tells of element-wise work beside each.
TEST(Fit, GivesEachLibraryWhatMultipliesNothing) {
  Calibration machine = known_machine();
  Evidence evidence;
  evidence.sources.resize(1);
  for (const char* workload : {"mlp", "embedding"}) {
    for (const Case& point : sweep_of(workload, {1})) {
      MeasuredCase measured = measured_on(machine, point, [] { return 1.0; });
      if (measured.record.point.library) measured.record.point.library = "onednn";
      evidence.cases.push_back(std::move(measured));
    }
  }
  const Calibration fitted = fit_calibration(evidence);
  ASSERT_EQ(fitted.compute.size(), 1U);
  EXPECT_EQ(fitted.compute[0].library, "onednn");
  const auto tells = [&](WorkKind kind) {
    return std::any_of(fitted.compute[0].rates.begin(), fitted.compute[0].rates.end(),
                       [&](const WorkRate& rate) { return rate.kind == kind; });
  };
  EXPECT_TRUE(tells(WorkKind::elementwise));
  EXPECT_TRUE(tells(WorkKind::product));
  const Case& embedding = evidence.cases.back().record.point;
  EXPECT_NEAR(predict_case(fitted, embedding, {}).compute.median_s /
                  predict_case(machine, embedding, {}).compute.median_s,
              1, 0.02);
}

TEST(Fit, KeepsPagesApart) {
  Calibration machine = known_machine(), faster = machine;
  for (WorkRate& rate : faster.compute[0].rates) rate.s_per_byte /= 2;
  Evidence evidence;
  evidence.sources.resize(1);
  for (Case point : sweep_of("mlp", {1, 2})) {
    evidence.cases.push_back(measured_on(machine, point, [] { return 1.0; }));
    MeasuredCase of_huge = measured_on(faster, point, [] { return 1.0; });
    of_huge.record.point.pages = Pages::huge;
    of_huge.record.id = case_id(of_huge.record.point);
    evidence.cases.push_back(std::move(of_huge));
  }
  const Calibration fitted = fit_calibration(evidence);
  ASSERT_EQ(fitted.compute.size(), 2U);
  Case narrow = evidence.cases.front().record.point;
  const double by_the_kernel = predict_case(fitted, narrow, {}).compute.median_s;
  narrow.pages = Pages::huge;
  EXPECT_LT(predict_case(fitted, narrow, {}).compute.median_s, 0.85 * by_the_kernel);
  Evidence half;
  half.sources.resize(1);
  for (MeasuredCase& measured : evidence.cases) {
    if (measured.record.point.pages == Pages::system) half.cases.push_back(measured);
  }
  EXPECT_THROW((void)predict_case(fit_calibration(half), narrow, {}), AdvisorError);
}

TEST(Fit, SeesWhatLaunchesDifferBy) {
  const Calibration known = known_machine();
  Evidence evidence = evidence_of(known, 0);
  evidence.sources.resize(2);
  for (MeasuredCase& again : evidence_of(known, 0).cases) {
    again.source = 1;
    for (Quantity* quantity : {&again.record.time->step, &again.record.time->compute})
      *quantity = exactly(quantity->summary.median * 1.1);
    evidence.cases.push_back(again);
  }
  const Calibration fitted = fit_calibration(evidence);
  EXPECT_TRUE(fitted.spread.launches_measured);
  EXPECT_NEAR(fitted.spread.launches, 1.645 * std::log(1.1) / std::sqrt(2.0), 0.03);
}

TEST(Fit, KeepsTheReferenceCopyOfEachNumberOfRanks) {
  const Calibration machine = known_machine();
  Evidence evidence;
  evidence.sources.resize(1);
  for (const Case& point : sweep_of("mlp", {1, 2})) {
    MeasuredCase measured = measured_on(machine, point, [] { return 1.0; });
    const double copy_s = 1e-3 * static_cast<double>(point.layout.tp);
    measured.record.reference = {{{1, 1, copy_s, 9, {}}, {1, 1, copy_s * 1.01, 9, {}}}};
    evidence.cases.push_back(std::move(measured));
  }
  const Calibration fitted = fit_calibration(evidence);
  const std::vector<CopyRate>& copies = fitted.compute.at(0).copies;
  ASSERT_EQ(copies.size(), 2U);
  EXPECT_EQ(copies[1].ranks_per_host, 2);
  for (const CopyRate& copy : copies)
    EXPECT_NEAR(copy.s_per_byte * (24 << 20), 1.005e-3 * static_cast<double>(copy.ranks_per_host), 1e-5);
  EXPECT_NEAR(copy_s_per_byte(fitted.compute[0], 2), copies[1].s_per_byte, 1e-15);
  EXPECT_NEAR(copy_s_per_byte(fitted.compute[0], 0), copies[1].s_per_byte, 1e-15) << "as with most ranks";
  EXPECT_EQ(calibration_from_json(calibration_to_json(fitted)).compute.at(0).copies.size(), 2U);
  Json document = calibration_to_json(fitted);
  document["compute"][0]["copies"][0]["s_per_byte"] = 0;
  EXPECT_THROW((void)calibration_from_json(document), FieldFault);
  for (MeasuredCase& measured : evidence.cases) measured.record.reference.clear();
  EXPECT_TRUE(fit_calibration(evidence).compute.at(0).copies.empty());
}

TEST(SolveNonNegative, FindsTheBestThatIsNotNegative) {
  // x + y = 1, x - y = 2, at x 1.5, y -0.5: with y >= 0 the best x is 1.5 and y 0.
  const std::vector<Equation> equations = {{{1, 1}, 1}, {{1, -1}, 2}};
  const std::vector<double> x = solve_non_negative(equations);
  EXPECT_NEAR(x[0], 1.5, 1e-12);
  EXPECT_EQ(x[1], 0);
  // Two columns that are one, and one that is nothing.
  const std::vector<Equation> alike = {{{1, 2, 0}, 3}, {{2, 4, 0}, 6}};
  const std::vector<double> y = solve_non_negative(alike);
  EXPECT_NEAR(y[0] + 2 * y[1], 3, 1e-9);
  EXPECT_EQ(y[2], 0);
  EXPECT_TRUE(solve_non_negative({}).empty());
}

}  // namespace
}  // namespace tpbench
