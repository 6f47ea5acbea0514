#include "advisor/predict_case.hpp"

#include <gtest/gtest.h>

#include "known_machine.hpp"

namespace tpbench {
namespace {

Case row_linear(std::int64_t degree) {
  Case point;
  point.hidden_size = 4096;
  point.batch_size = 16;
  point.sequence_length = 128;
  point.layout.tp = degree;
  normalise_case(point);
  return point;
}

Case block(std::int64_t tp, std::int64_t pp, std::int64_t microbatches) {
  Case point;
  point.workload = "block";
  point.pass = Pass::forward_backward;
  point.hidden_size = 1024;
  point.num_layers = 8;
  point.batch_size = 8;
  point.sequence_length = 256;
  point.layout = {tp, pp, 1};
  point.microbatches = microbatches;
  normalise_case(point);
  return point;
}

// 2 us, 2 T h h/t FLOP at 50 GFLOP/s and (T h/t + h h/t + T h) 4 bytes at 10 GB/s; 5 us and 4 T h bytes at 4
// GB/s.
TEST(PredictCase, PutsWorkAndCollectivesTogether) {
  const PredictedCase two = predict_case(known_machine(), row_linear(2), {});
  const double compute_s =
      2e-6 + 2.0 * 2048 * 4096 * 2048 / 50e9 + (2048 * 2048 + 4096 * 2048 + 2048 * 4096) * 4 / 10e9;
  const double communication_s = 5e-6 + 2048 * 4096 * 4 / 4e9;
  EXPECT_NEAR(two.compute.median_s, compute_s, 1e-12);
  EXPECT_NEAR(two.communication.median_s, communication_s, 1e-12);
  EXPECT_NEAR(two.step.median_s, compute_s + communication_s + 1e-6, 1e-12);
  EXPECT_LT(two.step.low_s, two.step.median_s);
  EXPECT_GT(two.step.high_s, two.step.median_s);
  EXPECT_FALSE(two.extrapolated);
  EXPECT_EQ(two.dominant, "compute");
  EXPECT_EQ(predict_case(known_machine(), row_linear(1), {}).communication.median_s, 0);
}

// Of 8 ranks as of 2, with 3 times the rounds and (7/8) / (1/2) times the transfer.
TEST(PredictCase, ScalesCollectivesByRoundsAndBusFactor) {
  const PredictedCase eight = predict_case(known_machine(), row_linear(8), {});
  EXPECT_NEAR(eight.communication.median_s, 3 * 5e-6 + 1.75 * 2048 * 4096 * 4 / 4e9, 1e-12);
  EXPECT_FALSE(eight.extrapolated);
  const PredictedCase sixteen = predict_case(known_machine(), row_linear(16), {});
  EXPECT_TRUE(sixteen.extrapolated) << "8 times the ranks that were measured";
  ASSERT_EQ(sixteen.beyond.size(), 1U);
  EXPECT_EQ(sixteen.beyond[0].text(), "ranks 16, measured 2 to 2");
  EXPECT_GT(sixteen.communication.high_s / sixteen.communication.median_s,
            eight.communication.high_s / eight.communication.median_s);
}

TEST(PredictCase, KnowsWhichCollectivesCrossHosts) {
  const PredictedCase inside =
      predict_case(known_machine(), row_linear(4), {.ranks_per_host = 4, .fabric = {}});
  const PredictedCase across =
      predict_case(known_machine(), row_linear(4), {.ranks_per_host = 2, .fabric = {}});
  EXPECT_FALSE(inside.crosses_hosts);
  EXPECT_TRUE(across.crosses_hosts);
  EXPECT_GT(across.communication.median_s, 30 * inside.communication.median_s);
  EXPECT_EQ(across.compute.median_s, inside.compute.median_s);
  Calibration one_host = known_machine();
  one_host.collectives.pop_back();
  one_host.boundaries.clear();
  EXPECT_THROW(predict_case(one_host, row_linear(4), {.ranks_per_host = 2, .fabric = {}}), AdvisorError)
      << "what crosses hosts is not told from what does not";
}

TEST(PredictCase, AnotherNetworkTakesThePlaceOfOneReach) {
  Network fast = {
      "alpha=3us,bandwidth=1.1GB/s", {{1, std::int64_t{1} << 40, 0, {3e-6, 1 / 1.1e9, 0, 0}}}, {}};
  PredictedMachine machine = {.ranks_per_host = 1, .fabric = {}};
  const double measured = predict_case(known_machine(), row_linear(2), machine).communication.median_s;
  machine.fabric.inside = fast;
  EXPECT_EQ(predict_case(known_machine(), row_linear(2), machine).communication.median_s, measured);
  machine.fabric.between = fast;
  // Messages take a tenth, and so does what is made of them.
  EXPECT_NEAR(predict_case(known_machine(), row_linear(2), machine).communication.median_s, measured / 10,
              1e-9);
}

TEST(PredictCase, ReplaysPipelines) {
  const PredictedCase one = predict_case(known_machine(), block(1, 1, 4), {});
  const PredictedCase four = predict_case(known_machine(), block(1, 4, 4), {});
  EXPECT_NEAR(four.compute.median_s, one.compute.median_s / 4, 1e-9);
  EXPECT_NEAR(four.bubble, 3.0 / 7, 0.02) << "(p - 1) / (m + p - 1)";
  EXPECT_NEAR(four.step.median_s,
              four.compute.median_s + four.communication.median_s + four.boundary.median_s +
                  four.waiting.median_s + four.other_s,
              1e-12);
  EXPECT_GT(four.boundary.median_s, 0);
}

TEST(PredictCase, RefusesWhatWasNotMeasuredAndSaysWhatToMeasure) {
  Calibration products = known_machine();
  products.compute[0].rates.resize(1);
  EXPECT_NO_THROW((void)predict_case(products, row_linear(2), {}));
  try {
    (void)predict_case(products, block(2, 1, 1), {});
    ADD_FAILURE() << "predicted";
  } catch (const AdvisorError& error) {
    EXPECT_NE(std::string(error.what()).find("measure workload block"), std::string::npos) << error.what();
  }
  Case narrow = row_linear(2);
  narrow.dtype = DType::bf16;
  EXPECT_THROW(predict_case(known_machine(), narrow, {}), AdvisorError);
  Case odd = row_linear(3);
  EXPECT_THROW(predict_case(known_machine(), odd, {}), AdvisorError) << "4096 is not divisible by 3";
  Case overlapping = row_linear(2);
  overlapping.overlap_chunks = 4;
  EXPECT_THROW(predict_case(known_machine(), overlapping, {}), AdvisorError);
}

}  // namespace
}  // namespace tpbench
