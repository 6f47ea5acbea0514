// Result folders of earlier schemas, stored under tests/corpus: they are read for ever.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/json_schema.hpp"
#include "result/folder.hpp"
#include "result/result_set.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> old_folders() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(TPBENCH_SOURCE_DIR "/tests/corpus/records-1")) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  return folders;
}

Json json_of(const fs::path& file) { return Json::parse(std::ifstream(file)); }

Json schema(const std::string& name) {
  return json_of(fs::path(TPBENCH_SOURCE_DIR "/docs") / (name + ".schema.json"));
}

TEST(OldRecords, AreReadAndWrittenAsTheyWere) {
  ASSERT_GE(old_folders().size(), 6U);
  for (const fs::path& folder : old_folders()) {
    const ResultSet set = read_result_set(folder);
    EXPECT_EQ(set.records.size(), record_files(folder).size()) << folder;
    EXPECT_EQ(set.label, "old-fabric");
    for (const Record& record : set.records) {
      EXPECT_EQ(record.schema, 1);
      EXPECT_EQ(case_id(asked_case(record)), record.id);
      // nlohmann's ordered objects are equal in one order only.
      EXPECT_EQ(nlohmann::json(record_to_json(record)),
                nlohmann::json(json_of(folder / "records" / (record.id + ".json"))))
          << record.id;
    }
  }
}

TEST(OldRecords, AreValidStill) {
  for (const fs::path& folder : old_folders()) {
    for (const fs::path& file : record_files(folder))
      EXPECT_TRUE(validate_with_schema(schema("record"), json_of(file)).empty()) << file;
    EXPECT_TRUE(validate_with_schema(schema("environment"), json_of(folder / "environment.json")).empty());
    EXPECT_TRUE(validate_with_schema(schema("run"), json_of(folder / "run.json")).empty());
    EXPECT_TRUE(validate_with_schema(schema("sweep"), json_of(folder / "sweep.json")).empty());
  }
  const Json probe = json_of(TPBENCH_SOURCE_DIR "/tests/corpus/records-1/probe.json");
  EXPECT_TRUE(validate_with_schema(schema("probe"), probe).empty());
}

}  // namespace
}  // namespace tpbench
