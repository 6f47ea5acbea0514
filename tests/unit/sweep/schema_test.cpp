#include <gtest/gtest.h>

#include <set>

#include "base/json_schema.hpp"
#include "helpers.hpp"

namespace tpbench {
namespace {

std::set<std::string> keys(const Json& properties) {
  std::set<std::string> names;
  for (const auto& [key, node] : properties.items()) names.insert(key);
  return names;
}

TEST(SweepSchema, IsThePublishedFile) {
  EXPECT_EQ(sweep_schema(), Json::parse(test::read_file(TPBENCH_SOURCE_DIR "/docs/sweep.schema.json")));
}

TEST(SweepSchema, NamesTheSameAxesAsTheFieldsOfACase) {
  std::set<std::string> fields;
  for (const CaseField& field : case_fields()) fields.emplace(field.key);
  EXPECT_EQ(fields.erase("cache"), 1U);  // said in `measure`
  const Json& definitions = sweep_schema()["definitions"];
  EXPECT_EQ(keys(definitions["point"]["properties"]), fields);
  EXPECT_EQ(keys(definitions["pattern"]["properties"]), fields);
  std::set<std::string> axes;
  for (const auto& [key, node] : sweep_schema()["properties"].items()) {
    if (node.contains("then")) axes.insert(key);
  }
  axes.insert("seed");  // one per sweep
  EXPECT_EQ(axes, fields);
}

TEST(SweepSchema, EveryNodeHasWordsForItsRule) {
  for (const auto& [key, node] : sweep_schema()["definitions"].items()) {
    EXPECT_TRUE(node.contains("enum") || node.contains("x-rule")) << key;
  }
  for (const auto& [key, node] : sweep_schema()["properties"].items()) {
    EXPECT_TRUE(key == "$schema" || (node.contains("default") && node.contains("description"))) << key;
    EXPECT_TRUE(node.contains("then") || node.contains("enum") || node.contains("x-rule")) << key;
  }
}

TEST(SweepSchema, KnowsEveryWorkloadOfThisBuild) {
  for (const Workload* workload : all_workloads()) {
    const Json& words = sweep_schema()["definitions"]["workload"]["enum"];
    EXPECT_NE(std::find(words.begin(), words.end(), workload->name), words.end()) << workload->name;
  }
}

// An editor completes the names, and the program words them; the table of presets is the one that counts.
TEST(SweepSchema, KnowsEveryModelInItsOrder) {
  Json names = Json::array();
  for (const Model& model : all_models()) names.push_back(model.name);
  names.push_back(nullptr);
  EXPECT_EQ(sweep_schema()["definitions"]["model"]["anyOf"][0]["enum"], names);
}

TEST(SweepSchema, AcceptsAndRefusesOnItsOwn) {
  const auto accepts = [](const char* text) {
    return validate_with_schema(sweep_schema(), Json::parse(text)).empty();
  };
  EXPECT_TRUE(accepts(R"({"hidden_size": 64})"));
  EXPECT_TRUE(accepts(R"({"hidden_size": [64, 128], "ffn_hidden_size": [null, 3]})"));
  EXPECT_TRUE(accepts(R"({"cases": [{"hidden_size": 64}]})"));
  EXPECT_TRUE(accepts(R"({"model": "llama3-8b"})"));
  EXPECT_TRUE(accepts(R"({"model": ["llama3-8b", "qwen2.5-7b"], "hidden_size": null})"));
  EXPECT_TRUE(accepts(R"({"hidden_size": 64, "model": null, "activation": null, "norm": [null, "rms_norm"],
                          "pass": ["forward", "forward_backward"], "sequence_parallel": [false, true],
                          "context_length": [0, 2048]})"));
  EXPECT_FALSE(accepts(R"({"model": null})"));
  EXPECT_FALSE(accepts(R"({"model": [null]})"));
  EXPECT_FALSE(accepts(R"({"model": "llama3"})"));
  EXPECT_FALSE(accepts(R"({})"));
  EXPECT_FALSE(accepts(R"({"hidden_size": null})"));
  EXPECT_FALSE(accepts(R"({"cases": []})"));
  EXPECT_FALSE(accepts(R"({"hidden_size": [64, 64]})"));
  EXPECT_FALSE(accepts(R"({"hidden_size": [64, "64"]})"));
  EXPECT_FALSE(accepts(R"({"hidden_size": 64, "exclude": [{}]})"));
  EXPECT_FALSE(accepts(R"({"hidden_size": 64, "measure": {"target_ci": 1}})"));
}

}  // namespace
}  // namespace tpbench
