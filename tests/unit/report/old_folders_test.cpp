// Every result folder of an earlier schema compares and exports.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "base/text.hpp"
#include "report/compare_render.hpp"
#include "report/csv.hpp"
#include "report/jsonl.hpp"
#include "report/nccl_tests.hpp"
#include "report/render.hpp"
#include "result/result_set.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

std::vector<ResultSet> old_sets() {
  std::vector<ResultSet> sets;
  for (const auto& entry : fs::directory_iterator(TPBENCH_SOURCE_DIR "/tests/corpus/records-1")) {
    if (entry.is_directory()) sets.push_back(read_result_set(entry.path()));
  }
  return sets;
}

// RFC 4180, as far as these files need it: cells by column, row by row.
std::vector<std::map<std::string, std::string>> rows_of(const std::string& csv) {
  std::vector<std::vector<std::string>> lines(1);
  std::string cell;
  bool quoted = false;
  for (const char c : csv) {
    if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ',' || c == '\n')) {
      lines.back().push_back(std::move(cell));
      cell.clear();
      if (c == '\n') lines.emplace_back();
    } else {
      cell += c;
    }
  }
  std::vector<std::map<std::string, std::string>> rows;
  for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
    for (std::size_t j = 0; j < lines[0].size(); ++j) {
      if (j == 0) rows.emplace_back();
      rows.back()[lines[0][j]] = lines[i].at(j);
    }
  }
  return rows;
}

TEST(OldFolders, ExportTheColumnsThatTheyHad) {
  for (const ResultSet& set : old_sets()) {
    std::ifstream file(fs::path(set.path) / "summary.csv");
    const auto then = rows_of({std::istreambuf_iterator<char>(file), {}});
    auto now = rows_of(render_csv(set.records));
    ASSERT_EQ(now.size(), then.size());
    for (std::size_t i = 0; i < then.size(); ++i) {
      for (const auto& [column, cell] : then[i]) EXPECT_EQ(now[i][column], cell) << set.path << " " << column;
    }
  }
}

TEST(OldFolders, CompareAndExport) {
  for (const ResultSet& set : old_sets()) {
    const Comparison comparison = compare(set, set);
    std::size_t timed = 0;
    for (const Record& record : set.records) timed += is_timed(record) ? 1 : 0;
    EXPECT_EQ(comparison.cases.size(), timed) << set.path;
    for (const ComparedCase& compared : comparison.cases) EXPECT_EQ(compared.cells[0].ratio, 1.0);
    for (const auto& [format, name] : EnumNames<CompareFormat>::table)
      EXPECT_EQ(render_comparisons(format, std::span(&comparison, 1)).empty(), format == CompareFormat::none)
          << name;
    EXPECT_NE(render(Format::table, set.records, 0.5).find("All cases:"), std::string::npos);
    const std::string lines = render_jsonl(set.records);
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), std::ssize(set.records));
    EXPECT_EQ(export_nccl_tests(set).cases > 0, set.path.ends_with("collectives"));
  }
}

}  // namespace
}  // namespace tpbench
