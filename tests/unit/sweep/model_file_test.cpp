#include "sweep/model_file.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "base/error.hpp"
#include "base/text.hpp"

namespace tpbench {
namespace {

const std::string kCorpus = std::string(TPBENCH_SOURCE_DIR) + "/tests/corpus/models/";

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string shape_in_words(const Model& m) {
  return fmt::format("h={} f={} a={} g={} d={} layers={} vocabulary={} tied={} {} {} parameters={}",
                     m.hidden_size, m.ffn_hidden_size, m.num_heads, m.num_kv_heads, m.head_dim, m.num_layers,
                     m.vocabulary, m.ties_embeddings ? 1 : 0, name_of(m.norm), name_of(m.activation),
                     count_parameters(m).total());
}

// Each file is understood exactly, or refused with the keys that decide: expected.tsv says what it must
// bring.
TEST(ModelFiles, OfTheCorpusAreUnderstoodExactlyOrRefused) {
  std::istringstream expected(text_of(kCorpus + "expected.tsv"));
  std::string line;
  int files = 0;
  while (std::getline(expected, line)) {
    if (line.starts_with('#')) continue;
    const std::vector<std::string> row = split(line, '\t');
    ASSERT_EQ(row.size(), 4U) << line;
    SCOPED_TRACE(row[0]);
    ++files;
    try {
      const ModelFile file = parse_model_file(text_of(kCorpus + row[0] + ".json"), row[0]);
      EXPECT_EQ(row[1], "ok");
      EXPECT_EQ(shape_in_words(file.model), row[2]);
      const std::string not_run = join_words(file.model.not_run, "; ");
      for (const std::string& words : split(row[3], '|'))
        EXPECT_NE(not_run.find(words), std::string::npos) << words << " in: " << not_run;
    } catch (const UsageError& error) {
      EXPECT_EQ(row[1], "refused") << error.what();
      std::string pointers;
      for (const Fault& fault : error.faults()) {
        EXPECT_EQ(fault.place, row[0]);
        EXPECT_FALSE(fault.rule.empty());
        pointers += (pointers.empty() ? "" : " ") + (fault.pointer.empty() ? "(file)" : fault.pointer);
      }
      EXPECT_EQ(pointers, row[2]);
    }
  }
  EXPECT_GE(files, 40);
}

TEST(ModelFiles, OfAPresetSayWhatThePresetSays) {
  const std::pair<const char*, const char*> pairs[] = {
      {"llama-3-8b", "llama3-8b"},       {"llama-3.2-1b-tied", "llama3.2-1b"},
      {"mistral-7b-v0.1", "mistral-7b"}, {"qwen2.5-7b", "qwen2.5-7b"},
      {"qwen3-4b", "qwen3-4b"},          {"gemma-2-9b", "gemma2-9b"},
      {"phi-3-mini-4k", "phi3-mini"},    {"gpt2", "gpt2"},
      {"falcon-7b", "falcon-7b"},        {"falcon-40b", "falcon-40b"}};
  for (const auto& [file, preset] : pairs) {
    const Model model = parse_model_file(text_of(kCorpus + file + ".json"), file).model;
    EXPECT_EQ(shape_in_words(model), shape_in_words(*find_model(preset))) << file;
  }
}

TEST(ModelFiles, AreToldApartByTheirBytes) {
  const std::string text = text_of(kCorpus + "gpt2.json");
  EXPECT_EQ(parse_model_file(text, "a").hash, parse_model_file(text, "b").hash);
  EXPECT_NE(parse_model_file(text, "a").hash, parse_model_file(text + " ", "a").hash);
}

}  // namespace
}  // namespace tpbench
