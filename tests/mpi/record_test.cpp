// What a record says of a case that ran.
#include <gtest/gtest.h>

#include "bench/record_builder.hpp"
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
  Case point = make_case({.workload = "attention", .pass = Pass::forward_backward}, {tokens, 60, 132, tokens, 12, 1});
  point.layout.tp = world().size();
  normalise_case(point);
  return point;
}

// One key/value head for the whole group: its gradient is summed over the group as everything else is. With as many
// tokens as columns of K and V the two sums are one kind of collective, called twice.
TEST(Bandwidths, OfAKeyValueHeadThatTheWholeGroupShares) {
  for (const std::int64_t tokens : {7, 10}) {
    const Case point = attention_with_one_kv_head(tokens);
    const CaseOutcome outcome = run(point, built_in_parts());
    const Record record = record_of(point);
    ASSERT_EQ(record.status, Status::ok) << record.reason.value_or("");
    if (world().size() == 1) continue;
    EXPECT_EQ(record.collectives.size(), tokens == 7 ? 3U : 2U);
    EXPECT_EQ(outcome.samples.collectives.size(), record.collectives.size()) << "what is timed is what is counted";
    for (const CollectiveResult& collective : record.collectives) {
      EXPECT_EQ(collective.ranks, world().size());
      EXPECT_TRUE(collective.busbw_gb_per_s) << name_of(collective.op) << " of " << collective.bytes;
    }
  }
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
  for (const double seconds : {overlap.compute_s, overlap.chunked_compute_s, overlap.communication_s, overlap.serial_s,
                               overlap.overlapped_s, overlap.overlapped_compute_s})
    EXPECT_GT(seconds, 0);
  EXPECT_GE(overlap.serial_s, overlap.communication_s) << "a part of it";
  EXPECT_LT(overlap.exposed_s, overlap.overlapped_s) << "a part of it";
}

}  // namespace
}  // namespace tpbench::test
