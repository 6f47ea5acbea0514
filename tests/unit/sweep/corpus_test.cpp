#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "base/text.hpp"
#include "helpers.hpp"

// tests/corpus/sweep/: malformed sweep files, and expected.tsv with every fault that each must show.
namespace tpbench {
namespace {

struct Expected {
  std::string line, pointer, rule_part;
};

const std::string kFolder = TPBENCH_SOURCE_DIR "/tests/corpus/sweep/";

std::map<std::string, std::vector<Expected>> read_expected() {
  std::map<std::string, std::vector<Expected>> expected;
  std::istringstream table(test::read_file(kFolder + "expected.tsv"));
  for (std::string line; std::getline(table, line);) {
    const std::vector<std::string> cells = split(line, '\t');
    if (line.starts_with("#") || cells.size() != 4) continue;
    expected[cells[0]].push_back({cells[1], cells[2] == "-" ? "" : cells[2], cells[3]});
  }
  return expected;
}

std::vector<Fault> load_faults(const std::string& file) {
  try {
    load_sweep(kFolder + file, {}, test::cpu_build());
  } catch (const UsageError& error) {
    return error.faults();
  }
  return {};
}

TEST(Corpus, EveryFileIsInTheTable) {
  const auto expected = read_expected();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() != ".json") continue;
    ++files;
    EXPECT_TRUE(expected.contains(entry.path().filename().string())) << entry.path();
  }
  EXPECT_EQ(files, expected.size());
  EXPECT_GE(files, 60U);
}

TEST(Corpus, EveryFileShowsExactlyItsFaults) {
  for (const auto& [file, expected] : read_expected()) {
    const std::vector<Fault> faults = load_faults(file);
    std::string text;
    for (const Fault& fault : faults) text += fault.to_string() + "\n";
    ASSERT_EQ(faults.size(), expected.size()) << file << "\n" << text;
    for (std::size_t i = 0; i < faults.size(); ++i) {
      EXPECT_EQ(faults[i].place, kFolder + file + ":" + expected[i].line) << text;
      EXPECT_EQ(faults[i].pointer, expected[i].pointer) << file << "\n" << text;
      EXPECT_NE(faults[i].rule.find(expected[i].rule_part), std::string::npos) << file << "\n" << text;
    }
  }
}

}  // namespace
}  // namespace tpbench
