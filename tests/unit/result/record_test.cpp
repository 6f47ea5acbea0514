#include "result/record.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "base/fields.hpp"
#include "sample_record.hpp"

namespace tpbench {
namespace {

const sample::Parts kParts = {.compute = 1.0 / 3.0, .communication = 0.1, .wait = 0.02, .other = 1e-9};

Record full_record() {
  Record record = sample::make_ok(sample::make_case("mlp", 2), kParts);
  record.time->step.epoch_medians_s = {0.1, 0.2};
  record.scaling = {"baseline", 1.9, 0.95, 1.99, 2.0, 0.04};
  record.warnings = {{"oversubscribed", "8 ranks on 2 cores, \"so\" times are not those of 8 devices\n"}};
  record.memory->device_in_use = 77;
  return record;
}

// Through text, as a file would go.
Record round_trip(const Record& record) {
  return record_from_json(Json::parse(record_to_json(record).dump()));
}

TEST(RecordJson, RoundTripIsExact) {
  const Record record = full_record();
  const Record back = round_trip(record);
  EXPECT_EQ(record_to_json(back).dump(), record_to_json(record).dump());
  // What the text could hide: the numbers themselves, bit for bit.
  EXPECT_EQ(back.point, record.point);
  EXPECT_EQ(back.time->compute.samples_s, record.time->compute.samples_s);
  EXPECT_EQ(back.time->step.summary.ci95, record.time->step.summary.ci95);
  EXPECT_EQ(back.time->step.epoch_medians_s, record.time->step.epoch_medians_s);
  EXPECT_EQ(back.time->other.summary.median, record.time->other.summary.median);
  EXPECT_EQ(back.memory->by_category, record.memory->by_category);
  EXPECT_EQ(back.memory->device_in_use, 77);
  EXPECT_EQ(back.flop_per_rank, record.flop_per_rank);
  EXPECT_EQ(back.collectives.at(0).busbw_gb_per_s, 1.0 / 3.0);
  EXPECT_EQ(back.scaling, record.scaling);
  EXPECT_EQ(back.warnings, record.warnings);
  EXPECT_EQ(back.phases_s, record.phases_s);
  EXPECT_EQ(back.ranks.cpus, record.ranks.cpus);
  EXPECT_EQ(back.verification.passed, true);
  EXPECT_EQ(back.converged, true);
}

TEST(RecordJson, HasTheEstimateForTheModel) {
  const Record of_block = sample::make_ok(sample::make_case("block", 2), kParts);
  ASSERT_TRUE(of_block.model_memory);
  EXPECT_EQ(round_trip(of_block).model_memory, of_block.model_memory);
  EXPECT_TRUE(record_to_json(of_block).at("model_memory").at("embedding_parameters").is_null());

  const Record of_model = sample::make_ok(sample::make_model_case("row_linear", 2, "llama3-8b"), kParts);
  EXPECT_EQ(round_trip(of_model).model_memory, of_model.model_memory);
  EXPECT_EQ(round_trip(of_model).point.model, "llama3-8b");
  const Json json = record_to_json(of_model).at("model_memory");
  EXPECT_EQ(json.at("layers"), 32);
  EXPECT_EQ(json.at("parameters"), 6979321856);
  EXPECT_EQ(json.at("embedding_parameters"), 1050673152);
  EXPECT_EQ(json.at("parameters_and_optimizer_bytes"), 18 * 6979321856 / 2);

  const Record of_mlp = full_record();
  EXPECT_TRUE(record_to_json(of_mlp).at("model_memory").is_null());
  EXPECT_FALSE(round_trip(of_mlp).model_memory);
}

TEST(RecordJson, KeepsWhatIsMissingMissing) {
  Record record = sample::make_not_ok(sample::make_case("row_linear", 16), Status::skipped, ReasonCode::ranks,
                                      "tp_degree 16 needs 16 ranks");
  record.memory.emplace().predicted_peak = 5;
  record.memory->unsharded_peak = 80;
  const Json json = record_to_json(record);
  EXPECT_TRUE(json.at("time_s").is_null());
  EXPECT_TRUE(json.at("samples_s").is_null());
  EXPECT_TRUE(json.at("memory_bytes").at("peak").is_null());
  EXPECT_TRUE(json.at("memory_bytes").at("weights").is_null());
  EXPECT_EQ(json.at("memory_bytes").at("predicted_peak"), 5);
  const Record back = round_trip(record);
  EXPECT_FALSE(back.time);
  EXPECT_FALSE(back.memory->by_category);
  EXPECT_FALSE(back.flop_per_rank);
  EXPECT_EQ(back.reason_code, ReasonCode::ranks);
  EXPECT_EQ(back.reason, record.reason);
}

TEST(RecordJson, WritesTimesOnlyOfACaseThatIsOk) {
  Record record = full_record();
  record.status = Status::failed;
  EXPECT_TRUE(record_to_json(record).at("time_s").is_null());
  EXPECT_TRUE(record_to_json(record).at("samples_s").is_null());
}

TEST(RecordJson, NeverWritesNumbersThatAreNone) {
  Record record = full_record();
  record.verification.max_relative_error = std::numeric_limits<double>::quiet_NaN();
  record.gflops_per_rank = std::numeric_limits<double>::infinity();
  const Json json = record_to_json(record);
  EXPECT_TRUE(json.at("verification").at("max_relative_error").is_null());
  EXPECT_TRUE(json.at("compute").at("gflops_per_rank").is_null());

  record.time->wait.summary.median = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(record_to_json(record), std::invalid_argument);
}

TEST(RecordJson, RefusesWhatIsNoRecord) {
  const Json good = record_to_json(full_record());
  const auto refused = [&](const std::string& pointer, const Json& value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    EXPECT_THROW(record_from_json(bad), std::runtime_error) << pointer;
  };
  refused("/schema", "tpbench.record/3");
  refused("/schema", nullptr);
  refused("/status", "fine");
  refused("/status", nullptr);
  refused("/duration_s", "1.0");
  refused("/epochs/done", 1.5);
  refused("/epochs/done", -1);
  refused("/verification/method", "hoped");
  refused("/memory_bytes/kv_cache", nullptr);
  refused("/samples_s", nullptr);
  refused("/time_s", nullptr);
  refused("/time_s/step/median", nullptr);
  refused("/time_s/step/samples", true);
  refused("/verification/passed", 1);
  refused("/memory_bytes/peak", "5");
  refused("/case/hidden_size", "4096");
  refused("/quality/warnings", Json::parse(R"([{"code": "x"}])"));
  refused("/ranks/cpus", 3);
  refused("/model_memory", 3);
  refused("/model_memory", Json::object());
  refused("/case/model", 3);
  EXPECT_THROW(record_from_json(Json::array()), std::runtime_error);
  for (const auto& [key, value] : good.items()) {
    // What a schema brought later may be absent in a record of it that is older than the key.
    const auto rows = record_fields();
    if (std::any_of(rows.begin(), rows.end(),
                    [&, &name = key](const auto& row) { return row.key == name && row.text.since > 1; }))
      continue;
    Json bad = good;
    bad.erase(key);
    EXPECT_THROW(record_from_json(bad), std::runtime_error) << key;
  }
}

TEST(RecordJson, FaultsNameTheirPlace) {
  const Json good = record_to_json(full_record());
  const auto complaint = [&](const std::string& pointer, const Json& value) -> std::string {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    try {
      record_from_json(bad);
    } catch (const std::runtime_error& error) {
      const std::string said = error.what(), start = "not a tpbench.record/2 document: ";
      return said.starts_with(start) ? said.substr(start.size()) : said;
    }
    return "accepted";
  };
  EXPECT_EQ(complaint("/time_s/step/median", "big"), "/time_s/step/median: must be a number, not \"big\"");
  EXPECT_EQ(complaint("/samples_s/wait/2", true), "/samples_s/wait/2: must be a number, not true");
  EXPECT_EQ(complaint("/samples_s/wait", nullptr), "/samples_s/wait: is null and that of time_s is not");
  EXPECT_EQ(complaint("/epochs/done", 1.5), "/epochs/done: must be a whole number, not 1.5");
  EXPECT_EQ(complaint("/label", 3), "/label: must be a string, not 3");
  EXPECT_EQ(complaint("/verification/passed", 1), "/verification/passed: must be true or false, not 1");
  EXPECT_EQ(complaint("/quality/warnings", Json::parse(R"([{"code": "x"}])")),
            "/quality/warnings/0/message: is missing");
  EXPECT_EQ(complaint("/ranks/cpus", 3), "/ranks/cpus: must be a list, not 3");
  EXPECT_EQ(complaint("/memory_bytes", "x"), "/memory_bytes: must be an object, not \"x\"");
  EXPECT_EQ(complaint("/status", "fine"), "/status: is \"fine\", which is not one of its values");
  EXPECT_EQ(complaint("/case/hidden_size", "4096"),
            "/case/hidden_size: must be a whole number, not \"4096\"");
  EXPECT_EQ(complaint("/epochs/planned", 0), "/epochs/planned: must be at least 1, not 0");
  EXPECT_EQ(complaint("/time_s/step/ci95", Json::array({1})),
            "/time_s/step/ci95: must be a list of two, not [1]");
  EXPECT_EQ(complaint("/memory_bytes/workspace", nullptr),
            "/memory_bytes/workspace: is null and another category is not");
  EXPECT_EQ(complaint("/phases_s", 3), "/phases_s: must be an object, not 3");
}

TEST(RecordJson, LeavesAloneWhatALaterVersionAdded) {
  const Json good = record_to_json(full_record());
  Json later = good;
  later["weather"] = "rain";
  later["case"]["weather"] = "rain";
  later["time_s"]["step"]["weather"] = 3;
  EXPECT_EQ(record_to_json(record_from_json(later)), good);
}

// A key of a schema that does not exist yet, put behind those of a record.
std::vector<Field<Record>> rows_with(const FieldText& text) {
  std::vector<Field<Record>> rows(record_fields().begin(), record_fields().end());
  rows.push_back(field("weather", &Record::label, text));
  return rows;
}

TEST(RecordJson, AKeyIsOneRow) {
  const auto rows = rows_with({.meaning = "for the test", .null = "never", .words = "rain sun"});
  Record record = full_record();
  record.label = "sun";
  Json json = record_to_json(record, rows);
  EXPECT_EQ(json.at("weather"), "sun");
  const Json type = object_type(rows).at("properties").at("weather");
  EXPECT_EQ(type.at("enum"), Json::array({"rain", "sun"}));
  EXPECT_EQ(type.at("description"), "for the test");
  json["weather"] = "rain";
  EXPECT_EQ(record_from_json(json, rows).label, "rain");
  json["weather"] = "snow";
  EXPECT_THROW(record_from_json(json, rows), std::runtime_error);
  json.erase("weather");
  EXPECT_THROW(record_from_json(json, rows), std::runtime_error) << "a key of schema 1 is always there";
}

TEST(RecordJson, AKeyOfALaterSchemaHasItsDefaultWhereItIsAbsent) {
  const auto rows = rows_with({.since = 2});
  Record record = full_record();
  Json json = record_to_json(record, rows);
  json.erase("weather");
  EXPECT_EQ(record_from_json(json, rows).label, record.label);
  // A record of schema 1 stays one, whatever is written again.
  record.schema = 1;
  json = record_to_json(record, rows);
  EXPECT_EQ(json.at("schema"), "tpbench.record/1");
  EXPECT_FALSE(json.contains("weather"));
  EXPECT_EQ(record_from_json(json, rows).schema, 1);
}

}  // namespace
}  // namespace tpbench
