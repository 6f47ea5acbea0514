#include "report/prediction.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "../advisor/known_machine.hpp"
#include "../result/sample_record.hpp"
#include "base/json_schema.hpp"

namespace tpbench {
namespace {

Prediction predicted_linear(std::vector<std::int64_t> degrees, const PredictedMachine& machine = {}) {
  Prediction prediction;
  prediction.calibration = known_machine();
  prediction.machine = machine;
  prediction.rows = answer(prediction.calibration, {},
                           {std::move(degrees),
                            {"workload=row_linear,hidden_size=4096,batch_size=16,sequence_length=128"},
                            machine,
                            false});
  return prediction;
}

bool says(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

TEST(Prediction, SaysTheAnswerInWordsFirst) {
  const std::vector<std::string> sentences = prediction_sentences(predicted_linear({1, 8}));
  ASSERT_FALSE(sentences.empty());
  EXPECT_TRUE(says(sentences[0], "row_linear: TP 8 takes ")) << sentences[0];
  EXPECT_TRUE(says(sentences[0], " to ")) << sentences[0];
  EXPECT_TRUE(says(sentences[0], "most of it in compute")) << sentences[0];
}

TEST(Prediction, MarksWhatIsFarBeyondAndSaysWhatToMeasure) {
  const Prediction prediction = predicted_linear({64});
  const std::string text = render_prediction(CompareFormat::table, prediction);
  EXPECT_TRUE(says(text, "extrapolated")) << text;
  EXPECT_TRUE(says(text, "ranks 64, measured 2 to 2")) << text;
  EXPECT_TRUE(says(text, "Measure next: ")) << text;
}

TEST(Prediction, SaysWhyACaseIsNotPredicted) {
  const std::string text = render_prediction(CompareFormat::table, predicted_linear({3}));
  EXPECT_TRUE(says(text, "Not predicted, 1 case: ")) << text;
  EXPECT_TRUE(says(text, "3")) << text;
}

TEST(Prediction, HasTheSchemaThatIsPublished) {
  const Json schema = Json::parse(std::ifstream(TPBENCH_SOURCE_DIR "/docs/prediction.schema.json"));
  for (const Prediction& prediction : {predicted_linear({1, 3, 8, 64}), Prediction()}) {
    const Json document = Json::parse(render_prediction(CompareFormat::json, prediction));
    for (const SchemaFault& fault : validate_with_schema(schema, document))
      ADD_FAILURE() << fault.pointer << ": " << fault.description;
  }
}

TEST(Prediction, HasOneRowForEachCaseInEveryFormat) {
  const Prediction prediction = predicted_linear({1, 2, 3, 64});
  const Json document = Json::parse(render_prediction(CompareFormat::json, prediction));
  ASSERT_EQ(document["cases"].size(), 4U);
  std::vector<std::string> states;
  for (const Json& one : document["cases"]) states.push_back(one["status"]);
  EXPECT_EQ(states, (std::vector<std::string>{"predicted", "predicted", "refused", "extrapolated"}));
  const std::string csv = render_prediction(CompareFormat::csv, prediction);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
  EXPECT_TRUE(says(render_prediction(CompareFormat::markdown, prediction), "| TP |")) << "a table";
}

// As its records have them: two launches of one pipeline, and a case of one stage.
TEST(Prediction, ShowsThePartsOfAPipelineThatWasMeasured) {
  std::vector<MeasuredCase> measured;
  for (const double factor : {1.0, 1.1}) {
    Case point = sample::make_case("block", 1);
    point.layout.pp = point.microbatches = point.batch_size = 2;
    point.num_layers = 2;
    normalise_case(point);
    Record record = sample::make_ok(point, {.compute = 10e-3});
    record.time->boundary = sample::make_quantity(1e-3 * factor);
    record.time->input_wait = sample::make_quantity(2e-3 * factor);
    record.time->end_wait = sample::make_quantity(4e-3 * factor);
    record.pipeline.emplace();
    record.pipeline->bubble = 0.40 * factor;
    measured.push_back({record, "r.json"});
  }
  measured.push_back({sample::make_ok(sample::make_case("block", 1), {.compute = 10e-3}), "one.json"});
  Prediction prediction;
  prediction.calibration = known_machine();
  prediction.rows = answer(prediction.calibration, measured, {});
  const Json document = Json::parse(render_prediction(CompareFormat::json, prediction));
  ASSERT_EQ(document["cases"].size(), 2U);
  const Json &one = document["cases"][0], &piped = document["cases"][1];
  EXPECT_NEAR(piped["measured_boundary_s"].get<double>(), 1.05e-3, 1e-9);
  EXPECT_NEAR(piped["measured_waiting_s"].get<double>(), 6.3e-3, 1e-9);
  EXPECT_NEAR(piped["measured_bubble"].get<double>(), 0.42, 1e-9);
  EXPECT_TRUE(piped["boundary_s"].is_null()) << "nothing was predicted";
  EXPECT_TRUE(one["measured_bubble"].is_null());
  const Json schema = Json::parse(std::ifstream(TPBENCH_SOURCE_DIR "/docs/prediction.schema.json"));
  for (const SchemaFault& fault : validate_with_schema(schema, document))
    ADD_FAILURE() << fault.pointer << ": " << fault.description;
  const std::string text = render_prediction(CompareFormat::table, prediction);
  for (const char* value : {"1.05 ms", "6.30 ms", "42 %"}) EXPECT_TRUE(says(text, value)) << text;
}

TEST(SetShape, ChangesFieldsAndWhatFollowsFromThem) {
  Case point;
  point.workload = "mlp";
  point.hidden_size = 1024;
  normalise_case(point);
  Case wide = point;
  set_shape(wide, "hidden_size=2048");
  EXPECT_EQ(wide.ffn_hidden_size, 8192);
  set_shape(wide, "ffn_hidden_size=1000,workload=block");
  EXPECT_EQ(wide.ffn_hidden_size, 1000);
  EXPECT_EQ(wide.num_heads, 16);
  Case llama = point;
  set_shape(llama, "workload=block,model=llama3-8b");
  EXPECT_EQ(llama.hidden_size, 4096);
  EXPECT_EQ(llama.num_kv_heads, 8);
  EXPECT_EQ(llama.ffn_hidden_size, 14336);
}

TEST(SetShape, RefusesWhatIsNoCase) {
  Case point;
  point.hidden_size = 1024;
  normalise_case(point);
  for (const char* shape :
       {"hiden_size=3", "hidden_size", "hidden_size=", "hidden_size=x", "hidden_size=0", "hidden_size=-4",
        "hidden_size=1.5", "hidden_size=8,hidden_size=9", "workload=dance", "model=nobody", "dtype=f12"}) {
    Case changed = point;
    EXPECT_THROW(set_shape(changed, shape), UsageError) << shape;
  }
}

}  // namespace
}  // namespace tpbench
