#include "workload/work.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "workload/workload.hpp"

namespace tpbench {
namespace {

Shape shape_of(Pass pass, std::int64_t tp) {
  Shape shape = {.tokens = 600,
                 .sequence_length = 300,
                 .hidden_size = 256,
                 .ffn_hidden_size = 1024,
                 .num_heads = 8,
                 .num_kv_heads = 2,
                 .num_layers = 4,
                 .layout = {.tp = tp},
                 .pass = pass,
                 .vocabulary = 1001};
  return shape;
}

void expect_sums(const Workload& workload, const Shape& shape) {
  const Cost cost = workload.cost(shape);
  double forward = 0, backward = 0;
  for (const Work& work : cost.work) {
    EXPECT_TRUE(work.bytes > 0 || work.calls > 0) << workload.name;
    (work.direction == Direction::forward ? forward : backward) += work.flop;
  }
  EXPECT_DOUBLE_EQ(forward, cost.flop_forward) << workload.name;
  EXPECT_DOUBLE_EQ(backward, cost.flop_backward) << workload.name;
}

TEST(Work, HasTheFlopOfTheCostInEveryWorkload) {
  for (const Workload* workload : all_workloads()) {
    for (const std::int64_t tp : {1, 2, 4}) {
      for (const Pass pass : {Pass::forward, Pass::forward_backward}) {
        Shape shape = shape_of(pass, tp);
        expect_sums(*workload, shape);
        shape.sequence_parallel = true;
        shape.activation = Activation::swiglu;
        expect_sums(*workload, shape);
        if (!workload->uses.stages) continue;
        shape.layout.pp = 2;
        shape.microbatches = 2;
        for (shape.pp_rank = 0; shape.pp_rank < 2; ++shape.pp_rank) expect_sums(*workload, shape);
      }
    }
  }
}

// What a rank of a pipeline does in a step is its part of what one rank does with the same microbatches.
TEST(Work, OfStagesIsThatOfTheWhole) {
  Shape shape = shape_of(Pass::forward_backward, 1);
  shape.microbatches = 2;
  const Cost one = block_workload.cost(shape);
  shape.layout.pp = 2;
  const Cost half = block_workload.cost(shape);
  ASSERT_EQ(one.work.size(), half.work.size());
  for (std::size_t i = 0; i < one.work.size(); ++i) {
    EXPECT_DOUBLE_EQ(half.work[i].flop * 2, one.work[i].flop);
    EXPECT_DOUBLE_EQ(half.work[i].bytes * 2, one.work[i].bytes);
    EXPECT_DOUBLE_EQ(half.work[i].calls * 2, one.work[i].calls);
  }
}

// One new token for each of 2 sequences with 299 before: the caches are read once, whatever the heads share.
TEST(Work, OfDecodingReadsTheCacheOnce) {
  Shape shape = shape_of(Pass::forward, 1);
  shape.tokens = 2;
  shape.sequence_length = 1;
  shape.context_length = 299;
  const Cost cost = attention_workload.cost(shape);
  const auto scores = std::find_if(cost.work.begin(), cost.work.end(),
                                   [](const Work& work) { return work.kind == WorkKind::attention; });
  ASSERT_NE(scores, cost.work.end());
  const double caches = 2.0 * 2 * 2 * 32 * 300 * 4,
               queries = 2.0 * 2 * 256 * 4;  // K, V; Q and what comes out
  EXPECT_EQ(scores->bytes, 4 * (caches + queries));
  EXPECT_EQ(scores->calls, 4 * 2.0 * 2) << "a tile for each sequence and key/value head";
  EXPECT_EQ(scores->flop, 4 * 4.0 * 2 * 8 * 300 * 32);
}

}  // namespace
}  // namespace tpbench
