#include <gtest/gtest.h>

#include "workload/pieces.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

// T = 3, h = 8, f = 12, t = 2, two weight sets, four bytes an element.
constexpr Shape kShape = {.tokens = 3,
                          .hidden_size = 8,
                          .ffn_hidden_size = 12,
                          .num_heads = 4,
                          .num_kv_heads = 2,
                          .num_layers = 2,
                          .layout = {.tp = 2},
                          .vocabulary = 5};

Cost cost_of(const char* workload, const Shape& shape = kShape) {
  return find_workload(workload)->cost(shape);
}

Shape alone(Shape shape = kShape) {
  shape.layout.tp = 1;
  return shape;
}

void expect_memory(const Cost& cost, std::int64_t weights, std::int64_t activations,
                   std::int64_t communication) {
  EXPECT_EQ(cost.memory[Category::weights], weights);
  EXPECT_EQ(cost.memory[Category::activations], activations);
  EXPECT_EQ(cost.memory[Category::communication], communication);
  EXPECT_EQ(cost.memory.total(), weights + activations + communication);
}

void expect_collective(const Cost& cost, CollectiveOp op, std::int64_t bytes, std::int64_t calls) {
  ASSERT_EQ(cost.collectives.size(), 1U);
  EXPECT_EQ(cost.collectives[0].op, op);
  EXPECT_EQ(cost.collectives[0].bytes, bytes);
  EXPECT_EQ(cost.collectives[0].calls_per_step, calls);
  EXPECT_EQ(cost.bytes_per_step(), bytes * calls);
}

TEST(GemmCost, IsThatOfOneProduct) {
  const Cost cost = cost_of("gemm");
  EXPECT_EQ(cost.flop(), 2 * (2 * 3 * 8 * 4));
  expect_memory(cost, 2 * (8 * 4) * 4, (3 * 8 + 3 * 4) * 4, 0);
  EXPECT_TRUE(cost.collectives.empty());
  EXPECT_EQ(cost.bytes_per_step(), 0);
  EXPECT_EQ(cost.reduction_length, 8);
}

TEST(ColumnLinearCost, GathersTheWholeOutput) {
  const Cost cost = cost_of("column_linear");
  EXPECT_EQ(cost.flop(), 2 * (2 * 3 * 8 * 4));
  // X and Y whole; the shard before the gather and the gathered array that is then put in rows.
  expect_memory(cost, 2 * (8 * 4) * 4, 2 * (3 * 8) * 4, (3 * 4 + 3 * 8) * 4);
  expect_collective(cost, CollectiveOp::all_gather, 3 * 8 * 4, 2);
}

TEST(ColumnLinearCost, GathersOneRowInPlace) {
  Shape shape = kShape;
  shape.tokens = 1;
  expect_memory(cost_of("column_linear", shape), 2 * (8 * 4) * 4, 2 * 8 * 4, 4 * 4);
}

TEST(ColumnLinearCost, NeedsNoBufferToSum) {
  Shape shape = kShape;
  shape.combine = Combine::all_reduce;
  const Cost cost = cost_of("column_linear", shape);
  expect_memory(cost, 2 * (8 * 4) * 4, 2 * (3 * 8) * 4, 0);
  expect_collective(cost, CollectiveOp::all_reduce, 3 * 8 * 4, 2);
}

TEST(RowLinearCost, SumsTheWholeOutput) {
  const Cost cost = cost_of("row_linear");
  EXPECT_EQ(cost.flop(), 2 * (2 * 3 * 4 * 8));
  expect_memory(cost, 2 * (4 * 8) * 4, (3 * 4 + 3 * 8) * 4, 0);
  expect_collective(cost, CollectiveOp::all_reduce, 3 * 8 * 4, 2);
  EXPECT_EQ(cost.reduction_length, 8) << "the sum is as long however it is split";
}

TEST(MlpCost, HasTwoProducts) {
  const Cost cost = cost_of("mlp");
  EXPECT_EQ(cost.flop(), 2 * (2 * 3 * 8 * 6 + 2 * 3 * 6 * 8));
  expect_memory(cost, 2 * (8 * 6 + 6 * 8) * 4, (2 * 3 * 8 + 3 * 6) * 4, 0);
  expect_collective(cost, CollectiveOp::all_reduce, 3 * 8 * 4, 2);
  EXPECT_EQ(cost.reduction_length, 8 + 12);
}

TEST(MlpCost, HasThreeProductsWhenItIsGated) {
  Shape shape = kShape;
  shape.activation = Activation::swiglu;
  const Cost cost = cost_of("mlp", shape);
  EXPECT_EQ(cost.flop(), 2 * (2 * (2 * 3 * 8 * 6) + 2 * 3 * 6 * 8));
  expect_memory(cost, 2 * (2 * 8 * 6 + 6 * 8) * 4, (2 * 3 * 8 + 2 * 3 * 6) * 4, 0);
}

// Tiles of 3 rows and 3 columns of 4 bytes, for two key/value heads on one rank, one on each of two.
TEST(AttentionCost, HasAsManyTilesAtOnceAsMayBeInWork) {
  Shape shape = alone();
  shape.sequence_length = 3;
  const auto workspace = [](const Shape& of) { return cost_of("attention", of).memory[Category::workspace]; };
  EXPECT_EQ(workspace(shape), 36);
  shape.scores_bytes = 71;
  EXPECT_EQ(workspace(shape), 36);
  shape.scores_bytes = 72;
  EXPECT_EQ(workspace(shape), 72);
  shape.scores_bytes = 1 << 20;
  EXPECT_EQ(workspace(shape), 72) << "there are no more heads";
  shape.layout.tp = 2;
  EXPECT_EQ(workspace(shape), 36);
  shape.tokens = 15;
  EXPECT_EQ(workspace(shape), 5 * 36) << "of five sequences at once";
  EXPECT_TRUE(attention_extent(shape).at_once_are_sequences);
}

TEST(ProbeCosts, AreThoseOfOneArray) {
  expect_collective(cost_of("all_reduce"), CollectiveOp::all_reduce, 3 * 8 * 4, 1);
  expect_collective(cost_of("all_gather"), CollectiveOp::all_gather, 3 * 8 * 4, 1);
  expect_collective(cost_of("reduce_scatter"), CollectiveOp::reduce_scatter, 3 * 8 * 4, 1);
  expect_memory(cost_of("all_reduce"), 0, 0, 3 * 8 * 4);
  expect_memory(cost_of("all_gather"), 0, 0, (3 * 8 + 3 * 4) * 4);
  expect_memory(cost_of("reduce_scatter"), 0, 0, (3 * 8 + 3 * 4) * 4);
  EXPECT_EQ(cost_of("all_reduce").flop(), 0);
  EXPECT_EQ(cost_of("all_reduce").reduction_length, 2);
  EXPECT_EQ(cost_of("all_gather").reduction_length, 1) << "nothing is added";
}

// T = 3 in one sequence, V = 5: three rows on each of two ranks, of which one is padding.
TEST(EmbeddingCost, CountsThePadding) {
  const Shape shape = {
      .tokens = 3, .sequence_length = 3, .hidden_size = 8, .layout = {.tp = 2}, .vocabulary = 5};
  EXPECT_EQ(shape.padded_vocabulary(), 6);
  EXPECT_EQ(shape.held_vocabulary(0), (Range{0, 3}));
  EXPECT_EQ(shape.held_vocabulary(1), (Range{3, 5}));
  const Cost cost = cost_of("embedding", shape);
  EXPECT_EQ(cost.flop(), 0);
  expect_memory(cost, 3 * 8 * 4, 3 * 8 * 4 + 3 * 8, 0);
  expect_collective(cost, CollectiveOp::all_reduce, 3 * 8 * 4, 1);
}

TEST(LmHeadCost, GathersTheLogitsOfTheLastTokensOrOfAll) {
  Shape shape = {.tokens = 6, .sequence_length = 3, .hidden_size = 8, .layout = {.tp = 2}, .vocabulary = 5};
  const Cost last = cost_of("lm_head", shape);
  EXPECT_EQ(last.flop(), 2 * 2 * 8 * 3);
  expect_collective(last, CollectiveOp::all_gather, 2 * 6 * 4, 1);
  shape.logits = Logits::all;
  const Cost all = cost_of("lm_head", shape);
  EXPECT_EQ(all.flop(), 6 * 2 * 8 * 3);
  expect_collective(all, CollectiveOp::all_gather, 6 * 6 * 4, 1);
  shape.pass = Pass::forward_backward;
  const Cost trained = cost_of("lm_head", shape);
  EXPECT_EQ(trained.flop(), 3 * (6 * 2 * 8 * 3));
  ASSERT_EQ(trained.collectives.size(), 2U);
  EXPECT_EQ(trained.collectives[1].bytes, 6 * 4) << "a number of each token";
  EXPECT_EQ(trained.collectives[1].calls_per_step, 3);
}

// Of one rank of two: embedding, head and norm once, whatever the number of layers; tied, one weight less.
TEST(ModelCost, IsThatOfItsParts) {
  const Cost blocks = cost_of("block"), model = cost_of("model");
  EXPECT_EQ(model.memory[Category::weights] - blocks.memory[Category::weights], 2 * (3 * 8 * 4));
  EXPECT_EQ(model.memory[Category::replicated_weights] - blocks.memory[Category::replicated_weights],
            2 * 8 * 4);
  Shape tied = kShape;
  tied.ties_embeddings = true;
  EXPECT_EQ(cost_of("model", tied).memory[Category::weights], model.memory[Category::weights] - 3 * 8 * 4);
  EXPECT_EQ(cost_of("model", tied).flop(), model.flop());
}

TEST(Costs, HaveNoCallsOnOneRank) {
  for (const Workload* workload : all_workloads()) {
    const Cost cost = workload->cost(alone());
    EXPECT_EQ(cost.bytes_per_step(), 0) << workload->name;
    for (const CollectiveCost& collective : cost.collectives)
      EXPECT_EQ(collective.calls_per_step, 0) << workload->name;
  }
}

TEST(Costs, DoubleWithTheElement) {
  Shape wide = kShape;
  wide.dtype = DType::f64;
  for (const Workload* workload : all_workloads()) {
    // The ids of tokens are numbers of eight bytes, whatever the type.
    const std::int64_t ids = workload->name == "embedding" || workload->name == "model" ? 3 * 8 : 0;
    EXPECT_EQ(workload->cost(wide).memory.total() - ids, 2 * (workload->cost(kShape).memory.total() - ids))
        << workload->name;
    EXPECT_EQ(workload->cost(wide).bytes_per_step(), 2 * workload->cost(kShape).bytes_per_step())
        << workload->name;
    EXPECT_EQ(workload->cost(wide).flop(), workload->cost(kShape).flop()) << workload->name;
  }
}

// The claim that the tool is there to check.
TEST(Costs, HaveWeightsAndWorkThatFallExactlyByT) {
  for (const Workload* workload : all_workloads()) {
    for (const Activation activation : {Activation::gelu, Activation::swiglu}) {
      for (const std::int64_t degree : {1, 2, 3, 4, 5, 6, 10, 12, 60}) {
        Shape shape = {.tokens = 7,
                       .hidden_size = 60,
                       .ffn_hidden_size = 180,
                       .num_heads = 60,
                       .num_kv_heads = 60,
                       .num_layers = 3,
                       .vocabulary = 120};
        shape.activation = activation;
        const Cost whole = workload->cost(shape);
        shape.layout.tp = degree;
        const Cost part = workload->cost(shape);
        EXPECT_EQ(part.memory[Category::weights] * degree, whole.memory[Category::weights]) << workload->name;
        EXPECT_EQ(part.flop() * static_cast<double>(degree), whole.flop()) << workload->name;
      }
    }
  }
}

TEST(OutputPieces, CoverTheOutputOnce) {
  for (const std::int64_t tokens : {3, 600, 2048, 5000}) {
    for (const std::int64_t chunks : {1, 2, 4, 7, 100}) {
      const Shape shape = {
          .tokens = tokens, .hidden_size = 50, .layout = {.tp = 2}, .overlap_chunks = chunks};
      std::int64_t entries = 0, next = 0;
      for (const OutputPiece& piece : output_pieces(shape)) {
        const Range& cut = pieces_are_columns(shape) ? piece.columns : piece.rows;
        EXPECT_EQ(cut.begin, next);
        EXPECT_GT(cut.size(), 0);
        next = cut.end;
        entries += piece.rows.size() * piece.columns.size();
      }
      EXPECT_EQ(entries, tokens * 50);
      EXPECT_EQ(pieces_are_columns(shape), chunks > 1 && tokens / chunks < 512);
    }
  }
}

TEST(OutputPieces, AreCollectivesOfTheirOwn) {
  Shape shape = {
      .tokens = 8, .hidden_size = 20, .ffn_hidden_size = 8, .layout = {.tp = 2}, .overlap_chunks = 3};
  const Cost cost = cost_of("mlp", shape);
  // 6, 7 and 7 columns of 8 rows of 4 bytes
  ASSERT_EQ(cost.collectives.size(), 2U);
  EXPECT_EQ(cost.collectives[0].bytes, 6 * 8 * 4);
  EXPECT_EQ(cost.collectives[0].calls_per_step, 1);
  EXPECT_EQ(cost.collectives[1].bytes, 7 * 8 * 4);
  EXPECT_EQ(cost.collectives[1].calls_per_step, 2);
  EXPECT_EQ(cost.memory[Category::communication], 20 * 8 * 4) << "columns are summed in places of their own";
  shape.sequence_parallel = true;
  EXPECT_NE(why_impossible(*find_workload("mlp"), shape), std::nullopt);
}

TEST(BusFactor, IsThatOfNcclTests) {
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveOp::all_reduce, 2), 1.0);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveOp::all_reduce, 4), 1.5);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveOp::all_gather, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveOp::reduce_scatter, 2), 0.5);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveOp::all_reduce, 1), 0);
}

TEST(Catalog, FindsEachWorkloadByItsName) {
  for (const Workload* workload : all_workloads()) {
    EXPECT_EQ(find_workload(workload->name), workload);
    EXPECT_FALSE(workload->summary.empty());
  }
  EXPECT_EQ(find_workload("Gemm"), nullptr);
  EXPECT_EQ(find_workload(""), nullptr);
}

TEST(Memory, SumsOverCategories) {
  MemoryByCategory memory;
  EXPECT_EQ(memory.total(), 0);
  memory[Category::weights] = 3;
  memory[Category::workspace] = 4;
  EXPECT_EQ(memory.total(), 7);
  EXPECT_EQ(EnumNames<Category>::table.size(), kCategoryCount);
}

}  // namespace
}  // namespace tpbench
