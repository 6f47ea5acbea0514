#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <set>
#include <string>

#include "base/json_schema.hpp"
#include "record_docs.hpp"
#include "result/record.hpp"
#include "sample_record.hpp"

namespace tpbench {
namespace {

const Json& schema() {
  static const Json kSchema = Json::parse(std::ifstream(TPBENCH_SOURCE_DIR "/docs/record.schema.json"));
  return kSchema;
}

std::vector<SchemaFault> faults_in(const Json& document) {
  static const JsonSchema kReady(schema());
  return kReady.validate(document);
}

bool is_valid(const Json& document) { return faults_in(document).empty(); }

std::string faults_of(const Json& document) {
  std::string text;
  for (const SchemaFault& fault : faults_in(document)) {
    text += fault.pointer + ": " + fault.description + "\n";
  }
  return text;
}

Json ok_record() {
  return record_to_json(sample::make_ok(sample::make_case("mlp", 2), {.compute = 0.3, .communication = 0.1}));
}

Json model_record() {
  return record_to_json(sample::make_ok(sample::make_model_case("block", 2, "llama3-8b"), {.compute = 0.3}));
}

Json skipped_record() {
  Record record = sample::make_not_ok(sample::make_case("row_linear", 16), Status::skipped, ReasonCode::ranks,
                                      "tp_degree 16 needs 16 ranks");
  record.memory.emplace().predicted_peak = 5;
  record.memory->unsharded_peak = 80;
  return record_to_json(record);
}

Json failed_record() {
  Record record = sample::make_ok(sample::make_case("column_linear", 2), {.compute = 0.3});
  record.status = Status::failed;
  record.reason_code = ReasonCode::verification;
  record.reason = "the largest relative error is not a number";
  record.verification = {"sampled", 16, std::nullopt, 1e-4, 40, std::nullopt, false};
  record.converged.reset();
  return record_to_json(record);
}

TEST(RecordSchema, TakesEveryOutcome) {
  EXPECT_EQ(faults_of(ok_record()), "");
  EXPECT_EQ(faults_of(skipped_record()), "");
  EXPECT_EQ(faults_of(failed_record()), "");
  const Case point = sample::make_case("gemm", 3);
  EXPECT_EQ(
      faults_of(record_to_json(sample::make_not_ok(point, Status::skipped, ReasonCode::divisibility, "no"))),
      "");
  EXPECT_EQ(faults_of(record_to_json(sample::make_not_ok(point, Status::failed, ReasonCode::error, "no"))),
            "");
  for (const Workload* workload : all_workloads()) {
    const Case ok = sample::make_case(std::string(workload->name), 4);
    EXPECT_EQ(faults_of(record_to_json(sample::make_ok(ok, {.compute = 1}))), "") << workload->name;
    const Case of_model = sample::make_model_case(std::string(workload->name), 4, "qwen2.5-7b");
    EXPECT_EQ(faults_of(record_to_json(sample::make_ok(of_model, {.compute = 1}))), "") << workload->name;
  }
}

// One value put where it does not belong, for each kind of fault.
struct Change {
  Json (*record)();
  const char* pointer;
  const char* value;
};

const Change kChanges[] = {
    {ok_record, "/schema", R"("tpbench.record/3")"},
    {ok_record, "/time_s/step/median", R"("NaN")"},
    {ok_record, "/time_s/step/median", "null"},
    {ok_record, "/time_s/step/ci95", "[1.0]"},
    {ok_record, "/time_s/step/samples", "0"},
    {ok_record, "/samples_s/wait", R"(["NaN"])"},
    {ok_record, "/case/tp_degree", "0"},
    {ok_record, "/case/model", "7"},
    {ok_record, "/case/model", R"("")"},
    {ok_record, "/model_memory", "{}"},
    {model_record, "/model_memory/activation_bytes", "null"},
    {model_record, "/model_memory/activation_bytes", "0.5"},
    {model_record, "/model_memory/parameters", "0"},
    {model_record, "/model_memory/assumptions", R"("")"},
    {ok_record, "/case/dtype", R"("f8")"},
    {ok_record, "/started_at", R"("yesterday")"},
    {ok_record, "/environment", R"("../environment.json")"},
    {ok_record, "/compute/gflops_per_rank", "-1"},
    {ok_record, "/memory_bytes/peak", "1.5"},
    {ok_record, "/quality/warnings", R"([{"code": "Two words", "message": "x"}])"},
    // what the status decides
    {ok_record, "/time_s", "null"},
    {ok_record, "/samples_s", "null"},
    {ok_record, "/memory_bytes", "null"},
    {ok_record, "/memory_bytes/weights", "null"},
    {ok_record, "/verification/passed", "false"},
    {ok_record, "/verification/passed", "null"},
    {ok_record, "/verification/method", R"("none")"},
    {ok_record, "/verification/tolerance", "null"},
    {ok_record, "/verification/rows_checked", "0"},
    {ok_record, "/reason", R"("fine")"},
    {ok_record, "/reason_code", R"("error")"},
    {ok_record, "/epochs/done", "0"},
    {ok_record, "/status", R"("skipped")"},
    {ok_record, "/status", R"("failed")"},
    {skipped_record, "/status", R"("ok")"},
    {skipped_record, "/reason", "null"},
    {skipped_record, "/reason", R"("")"},
    {skipped_record, "/reason_code", "null"},
    {skipped_record, "/memory_bytes/peak", "0"},
    {skipped_record, "/memory_bytes/kv_cache", "0"},
    {skipped_record, "/verification/passed", "true"},
    {failed_record, "/status", R"("ok")"},
    {failed_record, "/reason", R"("")"},
    {failed_record, "/reason_code", R"("unknown")"},
    {failed_record, "/time_s", "{}"},
};

TEST(RecordSchema, RefusesWhatBreaksIt) {
  for (const Change& change : kChanges) {
    Json record = change.record();
    record[Json::json_pointer(change.pointer)] = Json::parse(change.value);
    EXPECT_FALSE(is_valid(record)) << change.pointer << " = " << change.value;
  }
}

// A key that a schema brought later may be absent in a record of it that is older than the key.
bool is_newer(const std::string& key) {
  const auto rows = record_fields();
  return std::any_of(rows.begin(), rows.end(),
                     [&](const auto& row) { return row.key == key && row.text.since > 1; });
}

// Removes each key in turn, at every depth.
void expect_every_key_required(Json& record, Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  for (const std::string& key : keys) {
    const Json copy = object;
    object.erase(key);
    // Nested keys that a later schema brought, by name.
    static const std::set<std::string> kNewerInside = {
        "effective_samples", "head_dim",           "wait_mean",  "imbalance", "pp_degree",
        "microbatches",      "virtual_stages",     "schedule",   "boundary",  "input_wait",
        "end_wait",          "scaled_from_layers", "vocab_size", "logits",    "tie_embeddings",
        "library",           "weight_layout",      "kernels",    "packing",   "pages",
        "huge_pages"};
    const bool newer = &object == &record ? is_newer(key) : kNewerInside.contains(key);
    EXPECT_EQ(is_valid(record), newer) << key;
    object = copy;
    if (object[key].is_object() && key != "phases_s") expect_every_key_required(record, object[key]);
  }
}

TEST(RecordSchema, RequiresEveryKey) {
  for (Json record : {ok_record(), model_record()}) expect_every_key_required(record, record);
}

TEST(RecordSchema, IsThatOfTheTable) {
  EXPECT_EQ(record_docs::pretty(record_docs::schema(schema())) + '\n',
            record_docs::read_file(TPBENCH_SOURCE_DIR "/docs/record.schema.json"))
      << "cmake --build BUILD --target regenerate_docs";
  const std::string page = record_docs::read_file(TPBENCH_SOURCE_DIR "/docs/record.md");
  EXPECT_EQ(record_docs::page(page, schema()), page) << "cmake --build BUILD --target regenerate_docs";
}

TEST(RecordSchema, EveryKeyIsExplained) {
  std::function<void(const Json&, const std::string&)> look = [&](const Json& type, const std::string& path) {
    for (const auto& entry : type.at("properties").items()) {
      const std::string key = path + "/" + entry.key();
      const bool is_object = entry.value().contains("properties");
      EXPECT_TRUE(is_object || path == "/samples_s" || entry.value().contains("description")) << key;
      if (is_object) look(entry.value(), key);
    }
  };
  look(schema(), "");
}

// What the status decides (`allOf`, by hand) names each category.
TEST(RecordSchema, NamesEveryMemoryCategory) {
  for (const auto& [category, name] : EnumNames<Category>::table) {
    const std::string key(name);
    for (const char* place : {"/allOf/0/then/properties/memory_bytes/properties",
                              "/allOf/1/then/properties/memory_bytes/properties"})
      EXPECT_TRUE(schema().at(Json::json_pointer(place)).contains(key)) << place << " " << key;
  }
}

}  // namespace
}  // namespace tpbench
