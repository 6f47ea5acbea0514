#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <random>

#include "helpers.hpp"

// Seeded mutants of valid sweeps: each is a sweep or a UsageError, and nothing else.
namespace tpbench {
namespace {

constexpr int kMutants = 2000;

constexpr std::array<std::string_view, 4> kValid = {
    R"({"hidden_size": 64})",
    R"({
  "name": "fuzz-2", "workload": ["row_linear", "mlp"], "dtype": ["f32", "f64"],
  "hidden_size": [64, 128], "batch_size": [1, 4], "tp_degree": [1, 2, 4],
  "ffn_hidden_size": [null, 256], "activation": ["gelu", "swiglu"], "seed": 3,
  "measure": {"warmup_steps": 1, "min_samples": 6, "max_samples": 20, "max_seconds": 0.5, "target_ci": 0.05,
              "order": "given", "cache": "cold"},
  "cases": [{"hidden_size": 96, "workload": "gemm"}, {"tp_degree": 3}],
  "exclude": [{"hidden_size": 128, "tp_degree": [2, 4]}], "verify": "full"
})",
    R"({"cases": [{"hidden_size": 8}, {"hidden_size": 16, "sequence_length": 4, "threads_per_rank": null}],
  "placement": "spread", "groups": ["one", "all"], "combine": "all_reduce", "efficiency_floor": 0.75})",
    R"({"model": ["llama3-8b", "qwen2.5-7b"], "workload": ["block", "attention"], "context_length": [0, 64],
  "pass": ["forward", "forward_backward"], "sequence_parallel": [false, true], "norm": null,
  "cases": [{"model": null, "hidden_size": 64}], "exclude": [{"model": "qwen2.5-7b", "context_length": 64}]})",
};

constexpr std::array<std::string_view, 24> kTokens = {"{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      ",",
                                                      ":",
                                                      "\"",
                                                      "null",
                                                      "true",
                                                      "-",
                                                      "1e9",
                                                      "0.5",
                                                      "[]",
                                                      "{}",
                                                      "\"\"",
                                                      "1e400",
                                                      "\\u0",
                                                      "\n",
                                                      "//",
                                                      "\"tp_degree\"",
                                                      "\"attention\"",
                                                      "999999",
                                                      "\0",
                                                      "\xff"};

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string mutate(std::string text) {
    for (std::size_t edits = 1 + below(3); edits > 0 && !text.empty(); --edits) edit(text);
    return text;
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }

  void edit(std::string& text) {
    const std::size_t at = below(text.size());
    const std::size_t length = 1 + below(8);
    switch (below(6)) {
      case 0:
        text[at] = static_cast<char>(static_cast<unsigned char>(text[at]) ^ (1U << below(8)));
        break;
      case 1:
        text[at] = static_cast<char>(below(256));
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(at, kTokens[below(kTokens.size())]);
        break;
      case 4:
        text.insert(at, text.substr(below(text.size()), 4 * length));
        break;
      default:
        swap_tokens(text, at, below(text.size()));
        break;
    }
  }

  // Swaps two words between separators: keys with values, numbers with strings.
  static void swap_tokens(std::string& text, std::size_t a, std::size_t b) {
    constexpr std::string_view kSeparators = " ,:[]{}\n";
    const auto word_at = [&](std::size_t at) {
      const std::size_t begin = std::min(text.find_first_not_of(kSeparators, at), text.size());
      return std::pair(begin, std::min(text.find_first_of(kSeparators, begin), text.size()));
    };
    if (a > b) std::swap(a, b);
    const auto [begin_a, end_a] = word_at(a);
    const auto [begin_b, end_b] = word_at(b);
    if (end_a > begin_b) return;
    const std::string word_a = text.substr(begin_a, end_a - begin_a);
    const std::string word_b = text.substr(begin_b, end_b - begin_b);
    text.replace(begin_b, word_b.size(), word_a);
    text.replace(begin_a, word_a.size(), word_b);
  }

  std::mt19937_64 random_;
};

// One word for what became of the text; anything but a sweep or a UsageError escapes and fails the test.
std::string outcome_of(const std::string& text) {
  try {
    const Sweep sweep = test::parse(text);
    if (sweep.cases.empty()) return "empty";
    return parse_sweep(sweep.resolved.dump(), "again", {}, test::cpu_build()).cases == sweep.cases
               ? "sweep"
               : "unstable";
  } catch (const UsageError& error) {
    for (const Fault& fault : error.faults()) {
      if (fault.place.empty() || fault.rule.empty()) return "wordless";
    }
    return error.faults().empty() ? "wordless" : "refused";
  }
}

TEST(Fuzz, AMutantIsASweepOrAUsageError) {
  Mutator mutator(20261122);
  std::map<std::string, int> outcomes;
  for (int i = 0; i < kMutants; ++i) {
    const std::string text = mutator.mutate(std::string(kValid[static_cast<std::size_t>(i) % kValid.size()]));
    std::string outcome;
    ASSERT_NO_THROW(outcome = outcome_of(text)) << text;
    ASSERT_TRUE(outcome == "sweep" || outcome == "refused") << outcome << "\n" << text;
    ++outcomes[outcome];
  }
  // A mutator that breaks everything, or nothing, would test little.
  EXPECT_GE(outcomes["sweep"], kMutants / 50);
  EXPECT_GE(outcomes["refused"], kMutants / 2);
}

TEST(Fuzz, AMutantOfAMalformedFileIsASweepOrAUsageError) {
  Mutator mutator(42);
  for (const auto& entry : std::filesystem::directory_iterator(TPBENCH_SOURCE_DIR "/tests/corpus/sweep")) {
    if (entry.file_size() > 20'000) continue;
    const std::string original = test::read_file(entry.path().string());
    for (int i = 0; i < 3; ++i) {
      const std::string text = mutator.mutate(original);
      std::string outcome;
      ASSERT_NO_THROW(outcome = outcome_of(text)) << text;
      ASSERT_TRUE(outcome == "sweep" || outcome == "refused") << outcome << "\n" << text;
    }
  }
}

// Where JSON itself is broken, the first fault says so; where it is not, the fault is about the sweep.
TEST(Fuzz, BrokenJsonIsToldFromABrokenSweep) {
  Mutator mutator(7);
  int broken = 0, sound = 0;
  for (int i = 0; i < kMutants / 4; ++i) {
    const std::string text = mutator.mutate(std::string(kValid[static_cast<std::size_t>(i) % kValid.size()]));
    const std::vector<Fault> faults = test::faults_of(text);
    if (faults.empty()) continue;
    const bool is_json = Json::accept(text);
    const bool said_json = faults.front().rule.find("is not valid JSON") == std::string::npos &&
                           faults.front().rule.find("NUL byte") == std::string::npos &&
                           faults.front().rule.find("UTF-8") == std::string::npos &&
                           faults.front().rule.find("holds the number") == std::string::npos;
    EXPECT_EQ(is_json, said_json) << faults.front().to_string() << "\n" << text;
    ++(is_json ? sound : broken);
  }
  EXPECT_GT(broken, 50);
  EXPECT_GT(sound, 20);
}

}  // namespace
}  // namespace tpbench
