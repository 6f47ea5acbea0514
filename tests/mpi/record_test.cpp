// What a record says of a case that ran.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/json.hpp"
#include "bench/record_builder.hpp"
#include "result/scaling.hpp"
#include "run_case.hpp"

namespace tpbench::test {
namespace {

Record record_of(const Case& point) {
  LaunchFacts facts;
  facts.ranks.resize(static_cast<std::size_t>(world().size()));
  Record record = start_record(case_id(point), point, nullptr);
  add_outcome(record, run(point, built_in_parts()), team_for(point), facts);
  return record;
}

Case attention_with_one_kv_head(std::int64_t tokens) {
  Case point =
      make_case({.workload = "attention", .pass = Pass::forward_backward}, {tokens, 60, 132, tokens, 12, 1});
  point.layout.tp = world().size();
  normalise_case(point);
  return point;
}

// One key/value head for the whole group: its gradient is summed over the group as everything else is. With
// as many tokens as columns of K and V the two sums are one kind of collective, called twice.
TEST(Bandwidths, OfAKeyValueHeadThatTheWholeGroupShares) {
  for (const std::int64_t tokens : {7, 10}) {
    const Case point = attention_with_one_kv_head(tokens);
    const CaseOutcome outcome = run(point, built_in_parts());
    const Record record = record_of(point);
    ASSERT_EQ(record.status, Status::ok) << record.reason.value_or("");
    if (world().size() == 1) continue;
    EXPECT_EQ(record.collectives.size(), tokens == 7 ? 3U : 2U);
    EXPECT_EQ(outcome.samples.collectives.size(), record.collectives.size())
        << "what is timed is what is counted";
    for (const CollectiveResult& collective : record.collectives) {
      EXPECT_EQ(collective.ranks, world().size());
      EXPECT_TRUE(collective.busbw_gb_per_s) << name_of(collective.op) << " of " << collective.bytes;
    }
  }
}

// An outcome of two epochs on two hosts, whose clocks are known to each other well in the first and not in
// the second.
class ClockOfARecord : public testing::Test {
 protected:
  void SetUp() override {
    point_ = make_case({"row_linear"}, {12, 60, 132, 6, 12, 12});
    point_.layout.tp = 2;
    normalise_case(point_);
    record_ = start_record(case_id(point_), point_, nullptr);
    facts_.ranks.resize(static_cast<std::size_t>(world().size()));
    outcome_.status = Status::ok;
    Samples& samples = outcome_.samples;
    for (int k = 0; k < 8; ++k) {
      samples.step_s.push_back(100e-6);
      samples.compute_s.push_back(60e-6);
      samples.communication_s.push_back(30e-6);
      samples.other_s.push_back(10e-6);
      samples.wait_s.push_back(40e-6);
      samples.wait_mean_s.push_back(20e-6);
      samples.imbalance_s.push_back(40e-6);
      for (auto* half : {&samples.compute_by_half_s[0], &samples.communication_by_half_s[0]})
        half->push_back(1e-6);
    }
    samples.differences = samples.differences_by_half[0] = 1;
    samples.collectives = {{{Activity::all_reduce}, samples.communication_s, 1}};
    samples.starts = 9;
    samples.late_starts = 1;
    outcome_.clock = {.domains = 2,
                      .aligned = true,
                      .error_s = 2e-6,
                      .worst_case_s = 30e-6,
                      .drift_ppm = -3,
                      .offset_s = {0, 55}};
  }
  void add() { add_outcome(record_, outcome_, first_ranks(world().size()), facts_); }

  Case point_;
  Record record_;
  LaunchFacts facts_;
  CaseOutcome outcome_;
};

TEST_F(ClockOfARecord, IsTheWorstOfItsEpochs) {
  add();
  EXPECT_EQ(record_.clock->error_s, 2e-6);
  EXPECT_EQ(record_.clock->differences_per_step, 1);
  EXPECT_EQ(record_.clock->drift_ppm, -3);
  EXPECT_EQ(record_.clock->offsets_s, (std::vector<double>{0, 55}));
  EXPECT_TRUE(record_.clock->untold.empty());
  EXPECT_TRUE(record_.clock->doubtful.empty());
  EXPECT_TRUE(record_.collectives[0].busbw_gb_per_s);
  outcome_.clock.error_s = 5e-6;  // three times that is more than `other`, and less than the rest
  outcome_.clock.drift_ppm = 2;
  add();
  EXPECT_EQ(record_.clock->error_s, 5e-6);
  EXPECT_EQ(record_.clock->drift_ppm, -3);
  EXPECT_EQ(record_.clock->starts, 18);
  EXPECT_EQ(record_.clock->late_starts, 2);
  EXPECT_EQ(record_.clock->doubtful, std::vector<std::string>{"other"});
  EXPECT_EQ(record_.time->other.samples_s.size(), 16U) << "it stays";
  EXPECT_TRUE(record_.clock->untold.empty());
}

TEST_F(ClockOfARecord, LeavesOutWhatItCannotTell) {
  add();
  outcome_.clock.error_s = 11e-6;
  add();
  EXPECT_EQ(record_.clock->untold, std::vector<std::string>{"communication"});
  EXPECT_FALSE(is_known(record_.time->communication));
  EXPECT_FALSE(record_.collectives[0].busbw_gb_per_s);
  EXPECT_FALSE(record_.collectives[0].algbw_gb_per_s);
  rescale(record_, nullptr);
  EXPECT_FALSE(record_.scaling.communication_fraction);
  EXPECT_TRUE(is_known(record_.time->wait));
  // What was null in one epoch stays so.
  outcome_.clock.error_s = 1e-9;
  add();
  EXPECT_FALSE(is_known(record_.time->communication));
  const Json json = record_to_json(record_);
  EXPECT_TRUE(json.at("time_s").at("communication").is_null());
  EXPECT_TRUE(json.at("samples_s").at("communication").is_null());
}

TEST_F(ClockOfARecord, SaysThatABarrierStarted) {
  Samples& samples = outcome_.samples;
  samples.communication_known = false;
  for (auto* part : {&samples.communication_s, &samples.other_s, &samples.wait_s, &samples.wait_mean_s,
                     &samples.imbalance_s, &samples.communication_by_half_s[0]})
    part->clear();
  samples.collectives[0].communication_s.clear();
  outcome_.clock.aligned = false;
  add();
  EXPECT_EQ(record_.clock->start, StartMethod::barrier);
  EXPECT_EQ(record_.clock->untold,
            (std::vector<std::string>{"communication", "wait", "wait_mean", "imbalance", "other"}));
  EXPECT_TRUE(is_known(record_.time->step));
  EXPECT_TRUE(is_known(record_.time->compute));
  EXPECT_FALSE(record_.collectives[0].busbw_gb_per_s);
}

TEST(Overlap, TheOtherWaysAreSampledToo) {
  Case point = make_case({"row_linear"}, {512, 60, 132, 512, 12, 4});
  point.layout.tp = world().size();
  point.overlap_chunks = 4;
  normalise_case(point);
  const CaseOutcome outcome = run(point, built_in_parts());
  ASSERT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("");
  ASSERT_EQ(outcome.overlap.has_value(), point.shape().overlaps());
  if (!outcome.overlap) return;
  const OverlapResult& overlap = *outcome.overlap;
  ASSERT_TRUE(overlap.communication_s && overlap.exposed_s) << "one clock";
  for (const double seconds : {overlap.compute_s, overlap.chunked_compute_s, *overlap.communication_s,
                               overlap.serial_s, overlap.overlapped_s, overlap.overlapped_compute_s})
    EXPECT_GT(seconds, 0);
  EXPECT_GE(overlap.serial_s, *overlap.communication_s) << "a part of it";
  EXPECT_LT(*overlap.exposed_s, overlap.overlapped_s) << "a part of it";
}

}  // namespace
}  // namespace tpbench::test
