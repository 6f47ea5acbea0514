#include "report/best_split.hpp"

#include <gtest/gtest.h>

#include "../result/sample_record.hpp"

namespace tpbench {
namespace {

using sample::make_ok;

Record record_of_split(std::int64_t tp, std::int64_t pp, std::int64_t microbatches,
                       const sample::Parts& parts) {
  Case point = sample::make_case("block", tp);
  point.layout.pp = pp;
  point.microbatches = microbatches;
  normalise_case(point);
  Record record = make_ok(point, parts);
  const double step_s = record.time->step.summary.median;
  record.time->step.summary.ci95 = {{step_s * 0.99, step_s * 1.01}};
  return record;
}

std::vector<std::string> sentences_of(const std::vector<Record>& records) {
  std::vector<const Record*> all;
  for (const Record& record : records) all.push_back(&record);
  return best_splits(all);
}

TEST(BestSplit, NamesTheSplitThatGetsMostTokensThrough) {
  const auto sentences =
      sentences_of({record_of_split(4, 1, 4, {.compute = 2, .communication = 2}),
                    record_of_split(2, 2, 4, {.compute = 1.5, .communication = 0.5}),
                    record_of_split(1, 4, 4, {.compute = 3}), record_of_split(2, 1, 4, {.compute = 0.1})});
  ASSERT_EQ(sentences.size(), 1U);
  EXPECT_NE(sentences[0].find("4 ranks, throughput: TP 2 PP 2 m 4"), std::string::npos) << sentences[0];
  EXPECT_NE(sentences[0].find("1.50 times as fast as TP 1 PP 4 m 4 (their 95 % intervals are apart)"),
            std::string::npos)
      << sentences[0];
  EXPECT_NE(sentences[0].find("limited by its TP collectives, 25 % of the step"), std::string::npos)
      << sentences[0];
}

TEST(BestSplit, IsNotCertainWhereIntervalsOverlap) {
  const auto sentences =
      sentences_of({record_of_split(4, 1, 1, {.compute = 2.01}), record_of_split(2, 2, 1, {.compute = 2})});
  ASSERT_EQ(sentences.size(), 2U);
  EXPECT_NE(sentences[0].find("not certain, as their 95 % intervals overlap"), std::string::npos)
      << sentences[0];
  EXPECT_NE(sentences[1].find("latency (m 1): TP 2 PP 2, a step of 2.00 s"), std::string::npos)
      << sentences[1];
}

TEST(BestSplit, SaysNothingWithoutStages) {
  EXPECT_TRUE(
      sentences_of({record_of_split(4, 1, 4, {.compute = 2}), record_of_split(2, 1, 4, {.compute = 2})})
          .empty());
  EXPECT_TRUE(sentences_of({record_of_split(2, 2, 4, {.compute = 2})}).empty());
}

}  // namespace
}  // namespace tpbench
