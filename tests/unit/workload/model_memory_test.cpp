#include "workload/model_memory.hpp"

#include <gtest/gtest.h>

namespace tpbench {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

double gib(std::int64_t bytes) { return static_cast<double>(bytes) / kGiB; }

ModelMemory estimate(const char* model, const TrainingSetup& setup) {
  return estimate_model_memory(transformer_of(*find_model(model)), setup).value();
}

// The published values: arXiv 2205.05198, figure 1 and table 3, parameters as 12 L h^2.
TEST(ModelMemory, IsThePublishedOneOf22B) {
  const ModelMemory memory =
      estimate("megatron-22b", {.sequence_length = 2048, .microbatch = 4, .tp_degree = 8});
  EXPECT_EQ(memory.layers, 48);
  EXPECT_EQ(memory.parameters, 12LL * 48 * 6144 * 6144);
  EXPECT_EQ(memory.parameters_per_rank, memory.parameters / 8);
  EXPECT_EQ(gib(memory.parameters_and_optimizer_bytes), 45.5625);
  EXPECT_EQ(gib(memory.activation_bytes), 59.25);
  EXPECT_EQ(gib(memory.activation_bytes_selective), 9.5625);
  // sbh/t (34 + 5as/h) = 6 MiB x 140.667, 48 times
  EXPECT_EQ(gib(memory.activation_bytes_sequence_parallel), 39.5625);
}

TEST(ModelMemory, IsThePublishedOneOf175B) {
  const ModelMemory memory = estimate(
      "gpt3-175b",
      {.sequence_length = 2048, .microbatch = 1, .tp_degree = 8, .pipeline_stages = 8, .interleave = 3});
  EXPECT_EQ(memory.parameters, 12LL * 96 * 12288 * 12288);
  EXPECT_EQ(gib(memory.parameters_and_optimizer_bytes), 45.5625);
  EXPECT_EQ(gib(memory.activation_bytes), 66.84375);
  EXPECT_EQ(gib(memory.activation_bytes_selective), 12.3515625);
}

TEST(ModelMemory, OfTheFirstStageGrowsWithTheInterleave) {
  const TransformerShape shape = transformer_of(*find_model("gpt3-175b"));
  EXPECT_EQ(layers_in_flight(shape, {}), 96);
  EXPECT_EQ(layers_in_flight(shape, {.pipeline_stages = 8}), 96) << "as many as without a pipeline";
  EXPECT_EQ(layers_in_flight(shape, {.pipeline_stages = 8, .interleave = 3}), 124);
  EXPECT_EQ(layers_in_flight(shape, {.pipeline_stages = 8, .interleave = 2}), 138);
}

TEST(ModelMemory, CountsTheParametersOfAnyShape) {
  constexpr TransformerShape gpt = {
      .hidden_size = 64, .ffn_hidden_size = 256, .num_heads = 8, .num_kv_heads = 8};
  EXPECT_EQ(parameters_per_layer(gpt), 12 * 64 * 64);
  TransformerShape shape = gpt;
  shape.num_kv_heads = 2;  // K and V have 2 of 8 heads
  EXPECT_EQ(parameters_per_layer(shape), 2 * 64 * 64 + 2 * 64 * 16 + 8 * 64 * 64);
  shape.gated = true;
  shape.ffn_hidden_size = 160;
  EXPECT_EQ(parameters_per_layer(shape), 2 * 64 * 64 + 2 * 64 * 16 + 3 * 64 * 160);
}

TEST(ModelMemory, CountsCopiesOfKeyAndValueHeads) {
  constexpr TransformerShape shape = {
      .hidden_size = 64, .ffn_hidden_size = 256, .num_heads = 8, .num_kv_heads = 2};
  for (const std::int64_t degree : {1, 2})
    EXPECT_EQ(degree * parameters_per_layer(shape, degree), parameters_per_layer(shape)) << degree;
  // 8 ranks hold one of 2 heads each: 6 copies more of K and V, [64, 8] each.
  EXPECT_EQ(8 * parameters_per_layer(shape, 8), parameters_per_layer(shape) + 6 * 2 * 64 * 8);
}

TEST(ModelMemory, SaysWhatItAssumes) {
  const ModelMemory gpt = estimate("gpt3-13b", {.sequence_length = 128, .microbatch = 2, .tp_degree = 2});
  EXPECT_NE(
      gpt.assumptions.find("all 40 layers by tensor parallelism of degree 2; microbatch of 2 x 128 tokens"),
      std::string::npos)
      << gpt.assumptions;
  EXPECT_NE(gpt.assumptions.find("18 bytes a parameter"), std::string::npos) << gpt.assumptions;
  EXPECT_EQ(gpt.assumptions.find("GPT layer"), std::string::npos) << gpt.assumptions;
  const ModelMemory llama = estimate("llama3-8b", {});
  EXPECT_NE(
      llama.assumptions.find("counts f = 4h, no gate and as many key/value heads as heads: this layer has f "
                             "= 3.5h, a gate and 8 key/value heads of 32"),
      std::string::npos)
      << llama.assumptions;
  EXPECT_EQ(llama.source, "arXiv 2205.05198");
}

TEST(ModelMemory, IsEmptyBeyondAnyMemory) {
  TransformerShape huge = {.hidden_size = 262144,
                           .ffn_hidden_size = 1048576,
                           .num_heads = 65536,
                           .num_kv_heads = 65536,
                           .num_layers = 1024};
  EXPECT_EQ(estimate_model_memory(huge, {.sequence_length = 1 << 21, .microbatch = 32}), std::nullopt);
  EXPECT_EQ(estimate_model_memory(huge, {}), std::nullopt) << "18 bytes of each parameter alone";
  huge.num_layers = 1;
  EXPECT_NE(estimate_model_memory(huge, {}), std::nullopt);
}

constexpr Shape kBlock = {.tokens = 6,
                          .sequence_length = 3,
                          .hidden_size = 64,
                          .ffn_hidden_size = 256,
                          .num_heads = 8,
                          .num_kv_heads = 8,
                          .num_layers = 2,
                          .layout = {.tp = 2}};

TEST(ModelMemoryOfACase, IsThatOfTheBlockOrOfTheModel) {
  const auto block = model_memory_of_case(block_workload, kBlock, nullptr).value();
  EXPECT_EQ(block.layers, 2);
  EXPECT_EQ(block.parameters, 2 * 12 * 64 * 64);
  EXPECT_EQ(block.embedding_parameters, std::nullopt);
  // sbh (10 + 24/t + 5as/(ht)), two layers
  EXPECT_EQ(block.activation_bytes, 2 * (3 * 2 * 64 * (10 + 12) + 5 * 8 * 3 * 3 * 2 / 2));
  for (const Workload* workload : all_workloads()) {
    if (workload != &block_workload && workload != &model_workload) {
      EXPECT_EQ(model_memory_of_case(*workload, kBlock, nullptr), std::nullopt) << workload->name;
    }
    const auto memory = model_memory_of_case(*workload, kBlock, find_model("llama3-8b")).value();
    EXPECT_EQ(memory.layers, 32) << "the whole model, however many layers are run";
    EXPECT_EQ(memory.parameters, 6979321856);
    EXPECT_EQ(memory.embedding_parameters, 2 * 128256 * 4096);
  }
}

TEST(ModelMemoryOfACase, TrainsOnWhatTheLastTokenLooksAt) {
  Shape prefill = kBlock;
  prefill.tokens = 2 * 2049;
  prefill.sequence_length = 2049;
  Shape decode = kBlock;
  decode.tokens = 2;
  decode.sequence_length = 1;
  decode.context_length = 2048;
  EXPECT_EQ(model_memory_of_case(block_workload, decode, nullptr),
            model_memory_of_case(block_workload, prefill, nullptr));
}

TEST(ModelMemoryOfACase, IsEmptyWhereTheDegreeDoesNotSplitTheModel) {
  Shape shape = kBlock;
  shape.layout.tp = 3;
  EXPECT_EQ(model_memory_of_case(block_workload, shape, nullptr), std::nullopt);
  shape.layout.tp = 7;  // splits the hidden size of 3584, and the key/value heads not
  EXPECT_EQ(model_memory_of_case(row_linear_workload, shape, find_model("qwen2.5-7b")), std::nullopt);
  shape.layout.tp = 4;
  EXPECT_NE(model_memory_of_case(row_linear_workload, shape, find_model("qwen2.5-7b")), std::nullopt);
}

}  // namespace
}  // namespace tpbench
