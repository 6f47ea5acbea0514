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
}

TEST(BestSplit, IsNotCertainWhereIntervalsOverlap) {
  const auto sentences =
      sentences_of({record_of_split(4, 1, 1, {.compute = 2.01}), record_of_split(2, 2, 1, {.compute = 2})});
  ASSERT_EQ(sentences.size(), 2U);
  EXPECT_NE(sentences[0].find("(not certain: their 95 % intervals overlap)"), std::string::npos)
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

bool says(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

// TP 4 and TP 2 PP 2 of a block, changed.
template <typename Change>
std::vector<Record> two_splits(const Change& change, double faster_s = 1) {
  std::vector<Record> records;
  for (const std::int64_t pp : {1, 2}) {
    Case point = sample::make_case("block", 4 / pp);
    point.layout.pp = pp;
    point.microbatches = 4;
    point.num_layers = 4;
    change(point);
    normalise_case(point);
    records.push_back(make_ok(point, {.compute = pp == 2 ? faster_s : 2}));
  }
  return records;
}

std::vector<Record> joined(std::vector<Record> first, const std::vector<Record>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TEST(BestSplit, SaysWhatElseTellsTheCasesApart) {
  const auto sentences = sentences_of(
      joined(two_splits([](Case&) {}), two_splits([](Case& point) { point.sequence_parallel = true; })));
  ASSERT_EQ(sentences.size(), 2U);
  EXPECT_TRUE(says(sentences[0], "block h=4096 T=128 SP=false, 4 ranks, ")) << sentences[0];
  EXPECT_TRUE(says(sentences[1], "block h=4096 T=128 SP=true, 4 ranks, ")) << sentences[1];
  const std::vector<std::vector<Record>> changed = {
      two_splits([](Case& point) { point.dtype = DType::f64; }),
      two_splits([](Case& point) { point.library = "onednn"; }),
      two_splits([](Case& point) { point.algorithm = "shm"; }),
      two_splits([](Case& point) { point.context_length = 64; }),
      two_splits([](Case& point) { point.num_layers = 8; }),
      two_splits([](Case& point) { point.num_kv_heads = 8; }),
      two_splits([](Case& point) { point.model = "llama2-7b"; }),
      two_splits([](Case& point) { point.pass = Pass::forward_backward; })};
  for (const auto& other : changed) {
    const auto both = sentences_of(joined(two_splits([](Case&) {}), other));
    ASSERT_EQ(both.size(), 2U);
    EXPECT_NE(both[0].substr(0, both[0].find(", 4 ranks")), both[1].substr(0, both[1].find(", 4 ranks")))
        << both[0];
  }
}

TEST(BestSplit, DoesNotCompareGroupsAtOnceWithOneAlone) {
  std::vector<Record> all = two_splits([](Case& point) { point.groups = Groups::all; });
  const auto whole_world = sentences_of(joined(two_splits([](Case&) {}, 3), all));
  ASSERT_EQ(whole_world.size(), 2U);
  EXPECT_TRUE(says(whole_world[0], " groups=one, 4 ranks, throughput: TP 4 m 4")) << whole_world[0];
  EXPECT_TRUE(says(whole_world[1], " groups=all, 4 ranks, throughput: TP 2 PP 2")) << whole_world[1];
  for (Record& record : all) record.ranks.replicas = 2;
  const auto halves = sentences_of(joined(two_splits([](Case&) {}, 3), all));
  ASSERT_EQ(halves.size(), 2U);
  EXPECT_TRUE(says(halves[1], " groups=all, 2 groups of 4 ranks, throughput: TP 2 PP 2")) << halves[1];
  EXPECT_TRUE(says(halves[1], " tokens/s in each group; ")) << halves[1];
  all[1].ranks.replicas = 1;  // of a smaller launch
  EXPECT_TRUE(sentences_of(all).empty());
}

TEST(BestSplit, SaysThreadsWhereRivalsDifferInThem) {
  std::vector<Record> records = two_splits([](Case&) {});
  EXPECT_FALSE(says(sentences_of(records).front(), "threads"));
  records[0].point.threads_per_rank = 2;
  const auto sentences = sentences_of(records);
  EXPECT_TRUE(says(sentences.front(), "throughput: TP 2 PP 2 m 4 threads 1, ")) << sentences.front();
  EXPECT_TRUE(says(sentences.front(), "as fast as TP 4 m 4 threads 2 (")) << sentences.front();
}

// The largest part, compute too, and the next.
TEST(BestSplit, SaysWhatTheStepIs) {
  const auto of_parts = [](const sample::Parts& parts) {
    return sentences_of({record_of_split(4, 1, 4, {.compute = 9}), record_of_split(2, 2, 4, parts)}).front();
  };
  const auto ends = [](const std::string& text, const std::string& words) {
    return text.ends_with("; " + words);
  };
  std::string text = of_parts({.compute = 0.89, .communication = 0.11});
  EXPECT_TRUE(ends(text, "89 % of the step is compute, 11 % TP collectives")) << text;
  text = of_parts({.compute = 0.30, .communication = 0.24, .other = 0.46});
  EXPECT_TRUE(ends(text, "46 % of the step is neither compute, communication nor waiting, 30 % compute"))
      << text;
  text = of_parts({.compute = 0.98, .communication = 0.02});
  EXPECT_TRUE(ends(text, "98 % of the step is compute")) << text;
  text = sentences_of({record_of_split(4, 1, 4, {.compute = 0.4, .other = 0.6}),
                       record_of_split(2, 2, 4, {.compute = 2})})
             .front();
  EXPECT_TRUE(ends(text, "60 % of the step is neither compute nor communication, 40 % compute")) << text;
  Record waiting = record_of_split(2, 2, 4, {.compute = 0.3, .other = 0.7});
  waiting.time->other = sample::make_quantity(0);
  waiting.time->boundary = sample::make_quantity(0.05);
  waiting.time->input_wait = sample::make_quantity(0.4);
  waiting.time->end_wait = sample::make_quantity(0.25);
  text = sentences_of({record_of_split(4, 1, 4, {.compute = 9}), waiting}).front();
  EXPECT_TRUE(ends(text, "65 % of the step is waiting for other stages, 30 % compute")) << text;
}

TEST(BestSplit, SaysWhereClocksDoNotTellThePartsApart) {
  Record untold = record_of_split(2, 2, 4, {.compute = 0.2, .other = 0.8});
  untold.time->communication = untold.time->other = {};
  const auto text = sentences_of({record_of_split(4, 1, 4, {.compute = 9}), untold}).front();
  EXPECT_TRUE(
      says(text, "80 % of the step is communication or waiting (the clocks of its hosts do not tell which)"))
      << text;
}

// What the verdict of the same cases says.
TEST(BestSplit, IsNotCertainOnAMachineThatIsTheCause) {
  std::vector<Record> records = two_splits([](Case&) {});
  EXPECT_TRUE(says(sentences_of(records).front(), "(their 95 % intervals are apart)"));
  records[0].warnings = {{"oversubscribed", "4 ranks on 2 cores of n1: times are not those of 4 devices"}};
  for (int i = 0; i < 2; ++i) {
    const auto text = sentences_of(records).front();
    EXPECT_TRUE(says(text, "(not certain: 4 ranks on 2 cores of n1)")) << text;
    std::swap(records[0].warnings, records[1].warnings);
  }
  records[1].time->step.summary.ci95 = {{0.5, 3}};
  EXPECT_TRUE(says(sentences_of(records).front(),
                   "(not certain: their 95 % intervals overlap; 4 ranks on 2 cores of n1)"));
  records[1].time->step.summary.ci95.reset();
  EXPECT_TRUE(says(sentences_of(records).front(), "(not certain: too few samples for an interval; 4 ranks"));
}

// The launch of the case on one rank says nothing of two others.
TEST(BestSplit, IsNotCertainOverTwoLaunches) {
  std::vector<Record> records = two_splits([](Case&) {});
  for (Record& record : records) {
    record.environment = "environment-2.json";
    record.warnings = {
        {"baseline_launch", "the tp_degree 1 case ran in another launch: two launches differ"}};
  }
  EXPECT_TRUE(says(sentences_of(records).front(), "(their 95 % intervals are apart)"));
  records[1].environment = "environment.json";
  EXPECT_TRUE(says(sentences_of(records).front(), "(not certain: they ran in different launches)"));
  for (Record& record : records) record.warnings.push_back({"mixed_launches", "epochs of two launches: x"});
  EXPECT_TRUE(says(sentences_of(records).front(), "; epochs of two launches)"));
}

TEST(BestSplit, WritesRatesAsTheTableDoes) {
  const auto text = sentences_of({record_of_split(4, 1, 4, {.compute = 2e-2}),
                                  record_of_split(2, 2, 4, {.compute = 128.0 / 45569})})
                        .front();
  EXPECT_TRUE(says(text, ", 45569 tokens/s; ")) << text;
}

}  // namespace
}  // namespace tpbench
