#include "report/model_plan.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "../advisor/known_machine.hpp"
#include "base/json_schema.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "record_docs.hpp"

namespace tpbench {
namespace {

const Calibration kKnown = known_machine();

ModelPlan plan_of(bool trains, std::optional<std::int64_t> memory = {}) {
  PlanQuestion question;
  question.task.model = *find_model("llama3.2-1b");
  question.task.dtype = question.machine.dtype = DType::f32;
  question.task.trains = trains;
  question.task.batch_size = 8;
  question.task.sequence_length = question.task.context_length = 256;
  question.ranks = 4;
  question.machine.machine.ranks_per_host = 2;
  question.memory_per_rank = memory;
  return plan_model(known_machine(), question);
}

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += sentence + '\n';
  return text;
}

TEST(PlanReports, AnswerInWordsFirst) {
  const ModelPlan plan = plan_of(false);
  const auto answer = plan_answer({&plan, &kKnown, ""});
  const SplitPlan& best = plan.fitting.front();
  EXPECT_TRUE(answer[0].starts_with(layout_words(best.split.layout))) << answer[0];
  for (const char* words : {" per token (", "composed from 4 measured cases", "First token after "})
    EXPECT_NE(answer[0].find(words), std::string::npos) << answer[0];
  EXPECT_NE(answer.back().find("--write-sweep FILE"), std::string::npos);
  const std::string table = render_model_plan(Format::table, {&plan, &kKnown, ""});
  EXPECT_TRUE(table.starts_with(answer[0].substr(0, 40))) << table;
  const std::string after = joined(plan_answer({&plan, &kKnown, "my sweep.json"}));
  EXPECT_NE(after.find("tpbench --config 'my sweep.json'"), std::string::npos) << after;
}

TEST(PlanReports, SayWhenCollectivesCrossHosts) {
  const ModelPlan plan = plan_of(false);
  for (const SplitPlan& split : plan.fitting) {
    if (split.split.layout.tp == 4) {
      EXPECT_EQ(split.tp_hosts, 2);
    }
  }
  EXPECT_NE(render_model_plan(Format::table, {&plan, &kKnown, ""}).find(" h\n"), std::string::npos);
}

TEST(PlanReports, SayByHowMuchNothingFits) {
  const ModelPlan plan = plan_of(true, 1'000'000);
  const auto answer = plan_answer({&plan, &kKnown, ""});
  ASSERT_EQ(answer.size(), 1U);
  EXPECT_TRUE(answer[0].starts_with("Nothing fits in 1.00 MB per rank: ")) << answer[0];
  EXPECT_NE(answer[0].find(" too much."), std::string::npos);
  const Json document = Json::parse(render_model_plan(Format::json, {&plan, &kKnown, ""}));
  for (const Json& split : document.at("splits")) {
    EXPECT_EQ(split.at("fits"), false);
    EXPECT_TRUE(split.at("step_s").is_null());
    EXPECT_EQ(split.at("memory_bytes").get<std::int64_t>() - 1'000'000,
              split.at("over_bytes").get<std::int64_t>());
  }
}

TEST(PlanReports, AreDocumentsOfTheirSchema) {
  const Json schema = Json::parse(std::ifstream(TPBENCH_SOURCE_DIR "/docs/plan.schema.json"));
  for (const bool trains : {false, true}) {
    for (const std::optional<std::int64_t> memory :
         {std::optional<std::int64_t>(), std::optional<std::int64_t>(9'000'000'000)}) {
      const ModelPlan plan = plan_of(trains, memory);
      const Json document = Json::parse(render_model_plan(Format::json, {&plan, &kKnown, ""}));
      const auto faults = validate_with_schema(schema, document);
      EXPECT_TRUE(faults.empty()) << (faults.empty() ? "" : faults[0].pointer + ": " + faults[0].description);
      EXPECT_EQ(document.at("splits").size(), plan.fitting.size() + plan.too_large.size());
      EXPECT_EQ(document.at("splits")[0].at("place"), 1);
      EXPECT_EQ(document.at("splits")[0].at("step_s").is_null(), !trains);
      EXPECT_EQ(document.at("splits")[0].at("token_s").is_null(), trains);
    }
  }
  EXPECT_FALSE(validate_with_schema(schema, Json{{"schema", "tpbench.plan/1"}}).empty());
}

TEST(PlanReports, HaveTheSchemaThatIsPublished) {
  EXPECT_EQ(record_docs::pretty(plan_schema()) + '\n',
            record_docs::read_file(TPBENCH_SOURCE_DIR "/docs/plan.schema.json"));
}

TEST(PlanReports, ShowTheMemoryOfEachStage) {
  const ModelPlan plan = plan_of(true);
  const SplitPlan& best = plan.fitting.front();
  const std::string table = render_model_plan(Format::table, {&plan, &kKnown, ""});
  const auto at = table.find("Memory of a rank by stage, " + layout_words(best.split.layout));
  ASSERT_NE(at, std::string::npos) << table;
  for (std::int64_t rank = 0; rank < best.split.layout.pp; ++rank) {
    const StageMemory memory = stage_memory(plan.question.task, best.split, rank);
    EXPECT_NE(table.find(format_bytes(static_cast<double>(memory.total())), at), std::string::npos) << rank;
  }
}

TEST(PlanReports, AreTablesForProgramsToo) {
  const ModelPlan plan = plan_of(true);
  const auto csv = split(render_model_plan(Format::csv, {&plan, &kKnown, ""}), '\n');
  EXPECT_TRUE(csv[0].starts_with("place,tp_degree,pp_degree,copies,ranks,")) << csv[0];
  EXPECT_EQ(csv.size(), plan.fitting.size() + plan.too_large.size() + 2);  // heading, and the last line end
  const auto jsonl = split(render_model_plan(Format::jsonl, {&plan, &kKnown, ""}), '\n');
  EXPECT_EQ(Json::parse(jsonl[0]).at("place"), 1);
  const std::string markdown = render_model_plan(Format::markdown, {&plan, &kKnown, ""});
  EXPECT_NE(markdown.find("## Splits of llama3"), std::string::npos) << markdown;
  EXPECT_NE(markdown.find("| TP |"), std::string::npos) << markdown;
  EXPECT_EQ(render_model_plan(Format::none, {&plan, &kKnown, ""}), "");
}

}  // namespace
}  // namespace tpbench
