// Result folders of earlier schemas, stored under tests/corpus: they are read for ever.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/json_schema.hpp"
#include "result/folder.hpp"
#include "result/result_set.hpp"
#include "result/scaling.hpp"
#include "sample_record.hpp"

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

// What came within schema 2, after records of it had been written.
TEST(OldRecords, WithoutKeysThatCameLaterAreRead) {
  Record record = sample::make_ok(sample::make_case("mlp", 2), {.compute = 0.3, .communication = 0.1});
  record.reference = {{{1e-3, 1e-3, 2e-3, 2e-3, 55e-9}, {1e-3, 1e-3, 2e-3, 2e-3, 55e-9}}};
  record.pipeline.emplace().progress = MessageProgress::thread;
  Json document = record_to_json(record);
  for (const char* look : {"before", "after"}) {
    Json& times = document.at("reference").at(0).at(look);
    ASSERT_EQ(times.erase("core_latency_s"), 1U);
  }
  for (const char* key : {"progress", "stages"}) ASSERT_EQ(document.at("pipeline").erase(key), 1U);
  for (const char* key : {"kernels", "packing"}) ASSERT_EQ(document.at("compute").erase(key), 1U) << key;
  ASSERT_EQ(document.at("memory_bytes").erase("huge_pages"), 1U);
  for (const char* key : {"library", "weight_layout", "pages"})
    ASSERT_EQ(document.at("case").erase(key), 1U) << key;
  const Record read = record_from_json(document);
  EXPECT_FALSE(read.reference.at(0).before.core_latency_s);
  EXPECT_FALSE(read.pipeline->progress);
  EXPECT_EQ(read.point, record.point) << "an axis has the value that it had before it was one";
}

}  // namespace
}  // namespace tpbench
