#include "workload/models.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "workload/model_memory.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

Shape shape_of(const Model& model, std::int64_t tp_degree) {
  return {.tokens = 1,
          .hidden_size = model.hidden_size,
          .ffn_hidden_size = model.ffn_hidden_size,
          .num_heads = model.num_heads,
          .num_kv_heads = model.num_kv_heads,
          .head_dim = model.head_dim,
          .layout = {.tp = tp_degree}};
}

std::string why_not(const char* workload, const char* model, std::int64_t tp_degree) {
  return why_not_divisible(*find_workload(workload), shape_of(*find_model(model), tp_degree)).value_or("");
}

TEST(Models, AreFoundByTheirNames) {
  std::set<std::string_view> names;
  for (const Model& model : all_models()) {
    EXPECT_EQ(find_model(model.name), &model);
    EXPECT_TRUE(names.insert(model.name).second) << model.name;
    EXPECT_FALSE(model.title.empty() || model.source.empty()) << model.name;
  }
  EXPECT_EQ(names.size(), 23U);
  EXPECT_EQ(find_model("Llama3-8B"), nullptr);
  EXPECT_EQ(find_model(""), nullptr);
}

TEST(Models, HaveShapesThatABlockCanTake) {
  for (const Model& model : all_models()) {
    EXPECT_EQ(why_impossible(block_workload, shape_of(model, 1)), std::nullopt) << model.name;
    EXPECT_EQ(model.norm == Norm::rms_norm, model.activation == Activation::swiglu) << model.name;
    // Falcon 7B has 71 heads, a prime number.
    const std::int64_t degree = model.name == "falcon-7b" ? 71 : 4;
    EXPECT_EQ(why_not_divisible(block_workload, shape_of(model, degree)), std::nullopt) << model.name;
  }
}

// The number of parameters that each publisher counts in its own weights holds all numbers of a row together.
TEST(Models, HaveAsManyParametersAsTheirPublishedWeights) {
  const std::map<std::string_view, std::int64_t> published = {
      {"gpt2", 124439808},         {"llama2-7b", 6738415616},    {"llama2-70b", 68976648192},
      {"llama3-8b", 8030261248},   {"llama3-70b", 70553706496},  {"llama3-405b", 405853388800},
      {"llama3.2-1b", 1235814400}, {"llama3.2-3b", 3212749824},  {"mistral-7b", 7241732096},
      {"qwen2.5-7b", 7615616512},  {"qwen2.5-72b", 72706203648}, {"qwen3-0.6b", 596049920},
      {"qwen3-4b", 4022468096},    {"qwen3-8b", 8190735360},     {"qwen3-32b", 32762123264},
      {"gemma2-9b", 9241705984},   {"gemma2-27b", 27227128320},  {"phi3-mini", 3821079552},
      {"falcon-7b", 6921720704},   {"falcon-40b", 41303293952}};
  for (const auto& [name, parameters] : published) {
    const Model& model = *find_model(name);
    EXPECT_EQ(count_parameters(model).total(), parameters) << name;
    // The record's estimate counts the same layers and embeddings.
    const auto memory = model_memory_of_case(block_workload, shape_of(model, 1), &model).value();
    EXPECT_EQ(memory.parameters, count_parameters(model).layers) << name;
    EXPECT_EQ(memory.embedding_parameters.value(), count_parameters(model).embeddings) << name;
  }
}

// Those without published weights are as large as they are called.
TEST(Models, OfGptFormAreAsLargeAsTheyAreCalled) {
  const std::map<std::string_view, std::pair<double, double>> billions = {
      {"gpt3-13b", {12.8, 13.2}}, {"gpt3-175b", {174, 176}}, {"megatron-22b", {21.5, 22.5}}};
  for (const auto& [name, range] : billions) {
    const Model& model = *find_model(name);
    const auto memory = model_memory_of_case(block_workload, shape_of(model, 1), &model).value();
    EXPECT_EQ(memory.parameters, 12 * model.num_layers * model.hidden_size * model.hidden_size) << name;
    const double all = static_cast<double>(memory.parameters + *memory.embedding_parameters) / 1e9;
    EXPECT_GT(all, range.first) << name;
    EXPECT_LT(all, range.second) << name;
  }
}

TEST(Models, NameTheNearestDegreesThatTheyCanTake) {
  EXPECT_EQ(why_not("block", "qwen2.5-7b", 3),
            "num_heads 28 is not divisible by tp_degree 3; 2 and 4 would be");
  // 7 and 14 split the heads and neither the 4 key/value heads nor their copies; 28 splits them, but not f.
  EXPECT_EQ(why_not("block", "qwen2.5-7b", 8), "num_heads 28 is not divisible by tp_degree 8; 4 would be");
  EXPECT_EQ(why_not("attention", "qwen2.5-7b", 8),
            "num_heads 28 is not divisible by tp_degree 8; 4 and 28 would be");
  EXPECT_EQ(why_not("attention", "qwen2.5-7b", 7),
            "num_kv_heads 4 is neither divisible by tp_degree 7 nor a divisor of it; 4 and 28 would be");
  EXPECT_EQ(why_not("block", "qwen2.5-7b", 28),
            "ffn_hidden_size 18944 is not divisible by tp_degree 28; 4 would be");
  EXPECT_EQ(why_not("block", "gpt3-13b", 16),
            "num_heads 40 is not divisible by tp_degree 16; 10 and 20 would be");
  // More ranks than key/value heads: copies of them, as far as the heads go.
  for (const std::int64_t degree : {1, 2, 4, 8, 16, 32}) EXPECT_EQ(why_not("block", "llama3-8b", degree), "");
  EXPECT_EQ(why_not("block", "llama3-8b", 64), "num_heads 32 is not divisible by tp_degree 64; 32 would be");
  EXPECT_EQ(why_not("mlp", "llama2-7b", 64), "");  // 11008 = 64 x 172
  EXPECT_EQ(why_not("mlp", "llama2-7b", 3),
            "ffn_hidden_size 11008 is not divisible by tp_degree 3; 2 and 4 would be");
}

}  // namespace
}  // namespace tpbench
