#include "report/models.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/json.hpp"
#include "base/text.hpp"
#include "workload/models.hpp"

namespace tpbench {
namespace {

TEST(ModelList, HasALineForEachModel) {
  const auto lines = split(models_as_text(), '\n');
  ASSERT_GT(lines.size(), all_models().size());
  EXPECT_EQ(lines[0],
            "model             h      f  heads  kv    d  layers  vocabulary  norm        act        a layer  "
            "         all");
  for (std::size_t i = 0; i < all_models().size(); ++i)
    EXPECT_TRUE(lines[i + 1].starts_with(std::string(all_models()[i].name) + " ")) << lines[i + 1];
  EXPECT_EQ(lines[7],
            "llama3-8b      4096  14336     32   8  128      32      128256  rms_norm    swiglu   218103808  "
            "  8030261248");
}

TEST(ModelList, IsJsonWithSources) {
  const Json list = Json::parse(models_as_json());
  ASSERT_EQ(list.size(), all_models().size());
  EXPECT_EQ(list[6]["model"], "llama3-8b");
  EXPECT_EQ(list[6]["ffn_hidden_size"], 14336);
  EXPECT_EQ(list[6]["norm"], "rms_norm");
  for (const Json& object : list) EXPECT_FALSE(object["source"].get<std::string>().empty());
}

// The page for people says what the table says.
TEST(ModelList, StandsInTheDocumentation) {
  std::ifstream file(TPBENCH_SOURCE_DIR "/docs/models.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (const Model& m : all_models()) {
    const std::string row =
        fmt::format("| `{}` | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |", m.name, m.title,
                    m.hidden_size, m.ffn_hidden_size, m.num_heads, m.num_kv_heads, m.head_dim, m.num_layers,
                    m.vocabulary, name_of(m.norm), name_of(m.activation));
    EXPECT_NE(page.find(row), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace tpbench
