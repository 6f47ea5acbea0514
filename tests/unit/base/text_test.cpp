#include "base/text.hpp"

#include <gtest/gtest.h>

namespace tpbench {
namespace {

const std::vector<std::string> kKeys = {"hidden_size", "tp_degree", "workload", "seed", "name"};

TEST(ClosestMatch, FindsSlipsOfTheFinger) {
  EXPECT_EQ(closest_match("hiden_size", kKeys), "hidden_size");
  EXPECT_EQ(closest_match("tp_degrees", kKeys), "tp_degree");
  EXPECT_EQ(closest_match("wrokload", kKeys), "workload");
  EXPECT_EQ(closest_match("sede", kKeys), "seed");  // a swap of neighbours is one edit
  EXPECT_EQ(closest_match("seed", kKeys), "seed");
}

TEST(ClosestMatch, KnowsTheNamesOfOtherPrograms) {
  const std::vector<std::string> backends = {"cpu", "cuda"};
  EXPECT_EQ(closest_match("gpu", backends), "cuda");  // and not "cpu", which is one letter away
  EXPECT_EQ(closest_match("GPU", backends), "cuda");
  const std::vector<std::string> dtypes = {"f64", "f32", "tf32", "f16", "bf16"};
  for (const auto& [word, own] : {std::pair{"double", "f64"},
                                  {"float", "f32"},
                                  {"FP32", "f32"},
                                  {"half", "f16"},
                                  {"fp16", "f16"},
                                  {"float16", "f16"},
                                  {"bfloat16", "bf16"}})
    EXPECT_EQ(closest_match(word, dtypes), own);
  EXPECT_EQ(closest_match("gpu", kKeys), std::nullopt);  // where there is no cuda
}

TEST(ClosestMatch, FindsNothingWhereNothingIsNear) {
  EXPECT_EQ(closest_match("bandwidth", kKeys), std::nullopt);
  EXPECT_EQ(closest_match("", kKeys), std::nullopt);
  EXPECT_EQ(closest_match("seed", {}), std::nullopt);
  EXPECT_EQ(closest_match("sxyd", kKeys), std::nullopt);  // four letters allow one edit
  EXPECT_EQ(closest_match(std::string(65, 'a'), std::vector{std::string(65, 'a')}), std::nullopt);
}

TEST(ClosestMatch, PrefersTheNearest) {
  EXPECT_EQ(closest_match("abcdefghj", std::vector<std::string>{"abcdefgxx", "abcdefghi"}), "abcdefghi");
}

TEST(DidYouMean, SaysNothingWithoutAMatch) {
  EXPECT_EQ(did_you_mean("hiden_size", kKeys), " (did you mean \"hidden_size\"?)");
  EXPECT_EQ(did_you_mean("bandwidth", kKeys), "");
}

TEST(JoinWords, ReadsAsASentence) {
  EXPECT_EQ(join_words({}), "");
  EXPECT_EQ(join_words(std::vector<std::string>{"a"}), "a");
  EXPECT_EQ(join_words(std::vector<std::string>{"a", "b"}), "a and b");
  EXPECT_EQ(join_words(std::vector<std::string>{"a", "b", "c"}), "a, b and c");
  EXPECT_EQ(join_words(std::vector<std::string>{"a", "b", "c"}, " or "), "a, b or c");
}

TEST(Split, KeepsEmptyPieces) {
  EXPECT_EQ(split("a,b", ','), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string>{""}));
  EXPECT_EQ(split(",a,", ','), (std::vector<std::string>{"", "a", ""}));
}

// The published test values of FNV-1a: ids of cases must be the same on every machine for ever.
TEST(ShellQuoted, OnlyWhereAShellWouldTakeItApart) {
  EXPECT_EQ(shell_quoted("/opt/tpbench/bin/mpirun"), "/opt/tpbench/bin/mpirun");
  EXPECT_EQ(shell_quoted("/opt/my tools"), "'/opt/my tools'");
  EXPECT_EQ(shell_quoted("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_quoted(""), "''");
}

TEST(StableHash, IsFnv1a) {
  EXPECT_EQ(stable_hash(""), 0xcbf29ce484222325U);
  EXPECT_EQ(stable_hash("a"), 0xaf63dc4c8601ec8cU);
  EXPECT_EQ(stable_hash("foobar"), 0x85944171f73967e8U);
}

TEST(Counted, HasThePluralWhereItBelongs) {
  EXPECT_EQ(counted(0, "case"), "0 cases");
  EXPECT_EQ(counted(1, "case"), "1 case");
  EXPECT_EQ(counted(2, "case"), "2 cases");
}

}  // namespace
}  // namespace tpbench
