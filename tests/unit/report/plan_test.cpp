#include "report/plan.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "../result/sample_record.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"

namespace tpbench {
namespace {

const WhyNever kMayRun = [](const Case&) { return std::nullopt; };
const CostOf kByFormula = [](const Case& point, const Layout& layout) { return point.cost(layout); };

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      sample::make_case("row_linear", 2), sample::make_case("row_linear", 1),
      sample::make_case("row_linear", 3), sample::make_case("all_reduce", 3)};
  return kCases;
}

TEST(Plan, PredictsByTheFormulasOfTheWorkload) {
  const auto plan = plan_cases(cases(), kMayRun, kByFormula);
  ASSERT_EQ(plan.size(), 4U);
  const std::int64_t whole = (4096 * 4096 + 2 * 128 * 4096) * 4;
  EXPECT_EQ(plan[0].id, case_id(cases()[0]));
  EXPECT_EQ(plan[0].predicted_peak, (4096 * 2048 + 128 * 2048 + 128 * 4096) * 4);
  EXPECT_EQ(plan[0].unsharded_peak, whole);
  EXPECT_EQ(plan[0].flop_per_rank, 128.0 * 4096 * 4096);
  EXPECT_EQ(plan[0].bytes_per_step, 128 * 4096 * 4);
  EXPECT_EQ(plan[1].predicted_peak, whole);
  EXPECT_EQ(plan[1].bytes_per_step, 0);
  EXPECT_EQ(plan[2].skip_reason, "hidden_size 4096 is not divisible by tp_degree 3; 2 and 4 would be");
  EXPECT_FALSE(plan[2].predicted_peak);
  EXPECT_FALSE(plan[3].skip_reason) << "an all-reduce takes any length";
}

TEST(Plan, TableKeepsTheOrderAndEndsWithTotals) {
  const auto lines = split(render_plan(Format::table, cases(), {}, kMayRun, kByFormula), '\n');
  ASSERT_EQ(lines.size(), 13U);
  EXPECT_TRUE(lines[0].starts_with("All cases: pass=forward backend=cpu dtype=f32 h=4096 ")) << lines[0];
  EXPECT_EQ(lines[2], "");
  for (std::size_t i = 0; i < cases().size(); ++i) {
    const std::string& line = lines[i < 3 ? i + 4 : i + 5];  // the reason of the third takes two lines
    EXPECT_EQ(line.substr(0, line.find(' ')), case_id(cases()[i]));
  }
  EXPECT_NE(lines[3].find("workload    TP  mem/rank  unsharded"), std::string::npos) << lines[3];
  EXPECT_NE(lines[4].find("36.7 MB    71.3 MB  2.15 GFLOP"), std::string::npos) << lines[4];
  EXPECT_NE(lines[6].find("skipped: hidden_size 4096"), std::string::npos) << lines[6];
  EXPECT_EQ(lines[10], "4 cases, 1 of them skipped; largest predicted peak 71.3 MB per rank; 3 ranks needed");
  EXPECT_TRUE(lines[11].starts_with("takes about ")) << lines[11];
  EXPECT_TRUE(lines[11].ends_with(": 3 cases, each sampled until its interval is narrow, or for 5 s"))
      << lines[11];
}

TEST(Plan, NamesTheNearestDegreesThatAModelCanTake) {
  const auto plan = plan_cases(std::vector{sample::make_model_case("block", 3, "qwen2.5-7b"),
                                           sample::make_model_case("block", 8, "qwen2.5-7b"),
                                           sample::make_model_case("attention", 7, "qwen2.5-7b")},
                               kMayRun, kByFormula);
  EXPECT_EQ(plan[0].skip_reason, "num_heads 28 is not divisible by tp_degree 3; 2 and 4 would be");
  EXPECT_EQ(plan[1].skip_reason, "num_heads 28 is not divisible by tp_degree 8; 4 would be");
  EXPECT_EQ(plan[2].skip_reason,
            "num_kv_heads 4 is neither divisible by tp_degree 7 nor a divisor of it; 4 and 28 would be");
}

TEST(Plan, OtherFormatsCarryTheSame) {
  const auto csv = split(render_plan(Format::csv, cases(), {}, kMayRun, kByFormula), '\n');
  ASSERT_EQ(csv.size(), 6U);
  EXPECT_EQ(csv[0].substr(0, 17), "id,workload,pass,");
  EXPECT_NE(csv[1].find(",36700160,71303168,2147483648.0,2097152"), std::string::npos) << csv[1];
  EXPECT_NE(csv[3].find("4 would be,,71303168,,"), std::string::npos) << csv[3];
  const auto jsonl = split(render_plan(Format::jsonl, cases(), {}, kMayRun, kByFormula), '\n');
  ASSERT_EQ(jsonl.size(), 5U);
  EXPECT_EQ(Json::parse(jsonl[0]).at("predicted_peak_bytes"), 36700160);
  EXPECT_TRUE(Json::parse(jsonl[2]).at("predicted_peak_bytes").is_null());
  EXPECT_EQ(render_plan(Format::none, cases(), {}, kMayRun, kByFormula), "");
  EXPECT_EQ(render_plan(Format::table, {}, {}, kMayRun, kByFormula), "0 cases; nothing would run\n");
}

TEST(Plan, SkipsWhatOthersSayCanNeverRun) {
  const std::string why = "no machine computes that";
  const auto plan = plan_cases(
      cases(),
      [&](const Case& point) {
        return point.hidden_size == cases()[0].hidden_size ? std::optional(why) : std::nullopt;
      },
      kByFormula);
  EXPECT_EQ(plan[0].skip_reason, why);
  EXPECT_TRUE(plan[0].predicted_peak) << "what it would hold is known";
}

TEST(Plan, MarksWhatFits) {
  const auto rows = split(render_plan(Format::jsonl, cases(), {}, kMayRun, kByFormula, 40'000'000), '\n');
  EXPECT_EQ(Json::parse(rows[0]).at("fits"), true);
  EXPECT_EQ(Json::parse(rows[0]).at("over_bytes"), 0);
  EXPECT_EQ(Json::parse(rows[1]).at("fits"), false);
  EXPECT_EQ(Json::parse(rows[1]).at("over_bytes"), 71303168 - 40'000'000);
  EXPECT_TRUE(Json::parse(rows[2]).at("fits").is_null()) << "cannot be split so";
  const WhyNever never = [](const Case&) { return std::optional<std::string>("no machine computes that"); };
  const std::string table = render_plan(Format::table, cases(), {}, never, kByFormula, 40'000'000);
  EXPECT_NE(table.find("31.3 MB over"), std::string::npos) << table;
  EXPECT_NE(table.find("36.7 MB"), std::string::npos) << table;
  EXPECT_NE(table.find("; 1 of 3 cases does not fit in 40.0 MB per rank"), std::string::npos) << table;
  EXPECT_FALSE(Json::parse(split(render_plan(Format::jsonl, cases(), {}, kMayRun, kByFormula), '\n')[0])
                   .contains("fits"));
}

// The largest stage decides.
TEST(Plan, OfAPipelineFitsWhereItsLargestStageDoes) {
  Case point = sample::make_model_case("block", 2, "llama3-8b");
  point.layout.pp = 2;
  point.num_layers = 2;
  point.batch_size = 4;
  point.microbatches = 4;
  point.pass = Pass::forward_backward;
  normalise_case(point);
  const CostOf most = [](const Case& of, const Layout& layout) {
    Shape shape = of.shape();
    shape.layout = layout;
    Cost cost = of.workload_row().cost(shape);
    for (shape.pp_rank = 0; shape.pp_rank < layout.pp; ++shape.pp_rank) {
      const Cost other = of.workload_row().cost(shape);
      if (other.memory.total() > cost.memory.total()) cost.memory = other.memory;
    }
    return cost;
  };
  const PlannedCase planned = plan_cases(std::vector{point}, kMayRun, most)[0];
  ASSERT_EQ(planned.stage_peaks.size(), 2U);
  ASSERT_NE(planned.stage_peaks[0], planned.stage_peaks[1]);
  const std::int64_t largest = std::max(planned.stage_peaks[0], planned.stage_peaks[1]);
  const auto fits = [&](std::int64_t memory) {
    return Json::parse(render_plan(Format::jsonl, std::vector{point}, {}, kMayRun, most, memory)).at("fits");
  };
  EXPECT_EQ(fits(largest), true);
  EXPECT_EQ(fits(largest - 1), false);
  // Bytes for programs, words for people.
  const auto rendered = [&](Format format) {
    return render_plan(format, std::vector{point}, {}, kMayRun, most);
  };
  EXPECT_EQ(Json::parse(rendered(Format::jsonl)).at("stage_peaks"), Json(planned.stage_peaks));
  EXPECT_EQ(Json::parse(rendered(Format::json)).at(0).at("stage_peaks"), Json(planned.stage_peaks));
  EXPECT_NE(
      rendered(Format::csv).find(fmt::format(",{};{},", planned.stage_peaks[0], planned.stage_peaks[1])),
      std::string::npos);
  EXPECT_NE(rendered(Format::table)
                .find(fmt::format("{}, {}", format_bytes(static_cast<double>(planned.stage_peaks[0])),
                                  format_bytes(static_cast<double>(planned.stage_peaks[1])))),
            std::string::npos);
}

Case piped(Schedule schedule, std::int64_t microbatches) {
  Case point = sample::make_case("block", 1, 512);
  point.pass = Pass::forward_backward;
  point.num_layers = 8;
  point.batch_size = 8;
  point.layout.pp = 4;
  point.microbatches = microbatches;
  point.schedule = schedule;
  point.virtual_stages = schedule == Schedule::interleaved ? 2 : 1;
  point.boundary.reset();
  normalise_case(point);
  return point;
}

// F = 1, B = 2 of each of four stages, and messages that cost nothing; of zb_h1 I = 1, W = 1.
Record measured(const Case& point) {
  Record record = sample::make_ok(point, {.compute = 24});
  record.pipeline.emplace();
  const bool split = point.schedule == Schedule::zb_h1;
  for (std::int64_t rank = 0; rank < 4; ++rank) {
    PipelineRankResult of;
    of.stages = {rank};
    of.forward_s = 1;
    of.backward_s = split ? 1 : 2;
    if (split) of.weight_gradient_s = 1;
    record.pipeline->ranks.push_back(of);
  }
  return record;
}

// A rank that holds a light stage and a heavy one: their mean would give another step.
TEST(Plan, ReplaysEachStageWithItsOwnTimes) {
  const Case point = piped(Schedule::interleaved, 8);
  Record record = measured(point);
  std::vector<StageTimes> times;
  for (int stage = 0; stage < 8; ++stage) {
    const double forward_s = stage == 7 ? 3 : 0.5;
    record.pipeline->stages.push_back({forward_s, 2 * forward_s, {}, {}, {}});
    times.push_back({.forward_s = forward_s, .input_gradient_s = 2 * forward_s});
  }
  const auto replay = replay_from(point, {&record, 1});
  EXPECT_DOUBLE_EQ(replay->step_s, replay_pipeline(point.shape().pipeline(), times, 0).step_s);
  record.pipeline->stages.clear();
  EXPECT_DOUBLE_EQ(replay_from(point, {&record, 1})->step_s, 57) << "one of before: those of ranks";
}

TEST(Plan, ReplaysPipelinesWithTimesThatWereMeasured) {
  const std::vector<Record> records = {measured(piped(Schedule::gpipe, 8)),
                                       measured(piped(Schedule::zb_h1, 8)),
                                       measured(sample::make_case("row_linear", 2))};
  const auto step = [&](Schedule schedule, std::int64_t microbatches) {
    const auto replay = replay_from(piped(schedule, microbatches), records);
    return replay ? replay->step_s : 0;
  };
  EXPECT_DOUBLE_EQ(step(Schedule::gpipe, 8), 33);
  EXPECT_DOUBLE_EQ(step(Schedule::one_f_one_b, 8), 33);
  EXPECT_DOUBLE_EQ(step(Schedule::interleaved, 8), 28.5);
  EXPECT_DOUBLE_EQ(step(Schedule::zb_h1, 8), 27);
  EXPECT_DOUBLE_EQ(step(Schedule::gpipe, 4), 42) << "microbatches of twice the size";
  EXPECT_EQ(replay_from(piped(Schedule::gpipe, 8), records)->from, records[0].id);
  EXPECT_NEAR(replay_from(piped(Schedule::gpipe, 8), records)->bubble, 9 / 33.0, 1e-12);
  // A backward in one does not say what I and W are.
  EXPECT_FALSE(replay_from(piped(Schedule::zb_h1, 8), {records.data(), 1}));
  Case other = piped(Schedule::gpipe, 8);
  other.hidden_size = 1024;
  EXPECT_FALSE(replay_from(other, records));
  const std::string text = render_plan(Format::table, std::vector{piped(Schedule::one_f_one_b, 8)}, {},
                                       kMayRun, kByFormula, {}, records);
  EXPECT_NE(text.find("replayed step"), std::string::npos) << text;
  EXPECT_NE(text.find("33.0 s"), std::string::npos) << text;
  EXPECT_NE(text.find(records[0].id), std::string::npos) << text;
}

}  // namespace
}  // namespace tpbench
