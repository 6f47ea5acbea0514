#include "report/render.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "../result/sample_record.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "report/csv.hpp"
#include "report/document.hpp"
#include "report/table.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

using sample::make_case;
using sample::make_not_ok;
using sample::make_ok;

// In the random order of a run.
std::vector<Record> sweep_records() {
  std::vector<Record> records = {
      make_ok(make_case("mlp", 4), {.compute = 2e-3, .communication = 3.2e-3}),
      make_not_ok(make_case("row_linear", 3), Status::skipped, ReasonCode::divisibility,
                  "hidden_size 4096 is not divisible by tp_degree 3; 2 and 4 would be"),
      make_ok(make_case("row_linear", 1), {.compute = 1e-3}),
      make_ok(make_case("mlp", 1), {.compute = 8e-3}),
      make_ok(make_case("mlp", 2), {.compute = 4e-3, .communication = 0.938e-3}),
  };
  const Warning oversubscribed = {"oversubscribed", "4 ranks on 2 cores: times are not those of 4 devices"};
  records[0].warnings = {oversubscribed, {"unconverged", "the interval is wider than target_ci"}};
  records[4].warnings = {oversubscribed};
  apply_scaling(records);
  return records;
}

TEST(Table, ReadsAsAPersonWantsIt) {
  EXPECT_EQ('\n' + render_table(sweep_records(), 0.5), R"(
Verdict
row_linear h=4096 T=128: fastest at TP 1 (1.00 ms); efficiency at least 0.50 up to TP 1 (1.00). TP 3 not run:
  hidden_size 4096 is not divisible by tp_degree 3; 2 and 4 would be.
mlp h=4096 T=128: fastest at TP 2 (4.94 ms, 1.62 times as fast as TP 1); efficiency at least 0.50 up to TP 2
  (0.81). TP 4 (0.38): cannot say why: 4 ranks on 2 cores. Not certain: TP 4 with 5.20 ms may be as fast.

All cases: label=eth-1g pass=forward backend=cpu dtype=f32 h=4096 f=16384 layers=1 batch=1 seq=128 algorithm=mpi
  SP=false chunks=1 placement=packed groups=one threads=1 act=gelu cache=warm seed=1

workload    TP  mem/rank  compute     comm            step  speed-up   eff  comm share  warnings
row_linear   1   71.3 MB  1.00 ms     0 ns  1.00 ms +-3.5%      1.00  1.00         0 %
row_linear   3  skipped: hidden_size 4096 is not divisible by tp_degree 3; 2 and 4 would be
mlp          1    549 MB  8.00 ms     0 ns  8.00 ms +-3.5%      1.00  1.00         0 %
mlp          2    277 MB  4.00 ms   938 us  4.94 ms +-3.5%      1.62  0.81        19 %  oversubscribed
mlp          4    141 MB  2.00 ms  3.20 ms  5.20 ms +-3.5%      1.54  0.38        62 %  oversubscribed,unconverged

Warnings
oversubscribed (2 of 5 cases): 4 ranks on 2 cores: times are not those of 4 devices
unconverged (1 of 5 cases): the interval is wider than target_ci
)");
}

TEST(Table, IsPlainAscii) {
  const std::string text = render_table(sweep_records(), 0.5);
  EXPECT_TRUE(
      std::all_of(text.begin(), text.end(), [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  for (const std::string& line : split(text, '\n')) EXPECT_LE(line.size(), 120U) << line;
}

TEST(Table, ShowsIdsOnlyWhereRowsWouldLookEqual) {
  std::vector<Record> records = {make_ok(make_case("mlp", 1), {.compute = 1})};
  EXPECT_EQ(render_table(records, 0.5).find(records[0].id), std::string::npos);
  records.push_back(records[0]);
  records[1].id = "another";
  EXPECT_NE(render_table(records, 0.5).find(records[0].id), std::string::npos);
  EXPECT_NE(render_table(records, 0.5).find("another"), std::string::npos);
}

TEST(Table, DerivedFieldsAreNoAxes) {
  const std::string text = render_table(std::vector{make_ok(make_case("mlp", 1, 1024), {.compute = 1}),
                                                    make_ok(make_case("mlp", 1, 2048), {.compute = 1})},
                                        0.5);
  EXPECT_NE(text.find("\n   h  mem/rank"), std::string::npos) << text;

  Case wide = make_case("mlp", 1, 1024);
  wide.ffn_hidden_size = 8192;
  const std::string both = render_table(
      std::vector{make_ok(make_case("mlp", 1, 1024), {.compute = 1}), make_ok(wide, {.compute = 1})}, 0.5);
  EXPECT_NE(both.find("\n   f  mem/rank"), std::string::npos) << both;
}

TEST(Table, AModelSaysItsShape) {
  const auto record = [](const char* model, std::int64_t degree) {
    return make_ok(sample::make_model_case("block", degree, model), {.compute = 1});
  };
  std::vector<Record> records = {record("llama3-8b", 1), record("llama3-8b", 2), record("gpt3-13b", 1)};
  apply_scaling(records);
  const std::string text = render_table(records, 0.5);
  EXPECT_NE(text.find("\nmodel      TP  mem/rank"), std::string::npos) << text;
  EXPECT_NE(text.find("\nblock h=4096 T=128 model=llama3-8b: fastest at TP "), std::string::npos) << text;
  // Beside cases without a model, too: h tells those apart.
  records.push_back(make_ok(make_case("block", 1, 1024), {.compute = 1}));
  records.push_back(make_ok(make_case("block", 1, 2048), {.compute = 1}));
  EXPECT_NE(render_table(records, 0.5).find("\nmodel         h  TP  mem/rank"), std::string::npos)
      << render_table(records, 0.5);
}

TEST(Table, ProbesOfTheFabricHaveNoSpeedUp) {
  std::vector<Record> records = {make_ok(make_case("all_reduce", 1), {.other = 1e-6}),
                                 make_ok(make_case("all_reduce", 2), {.communication = 1e-3}),
                                 make_ok(make_case("gemm", 1), {.compute = 1e-3})};
  apply_scaling(records);
  const std::string text = render_table(records, 0.5);
  EXPECT_NE(text.find("-     -       100 %"), std::string::npos) << text;
  EXPECT_TRUE(text.starts_with("Verdict\ngemm h=4096 T=128: TP 1 is the only degree tested")) << text;
  EXPECT_EQ(text.find("\nall_reduce h=4096"), std::string::npos) << text;
}

TEST(Table, ProbesOfTheFabricHaveMessageAndBandwidth) {
  std::vector<Record> records = {make_ok(make_case("all_reduce", 1), {.other = 1e-6}),
                                 make_ok(make_case("all_reduce", 2), {.communication = 1e-3})};
  apply_scaling(records);
  EXPECT_NE(render_table(records, 0.5).find(R"(
TP  bytes/call     busbw  mem/rank     comm            step  comm share  warnings
 1           -         -   2.10 MB     0 ns  1.00 us +-3.5%         0 %
 2     2.10 MB  333 MB/s   2.10 MB  1.00 ms  1.00 ms +-3.5%       100 %
)"),
            std::string::npos)
      << render_table(records, 0.5);
  // Beside layers these keep their own columns.
  records.push_back(make_ok(make_case("gemm", 1), {.compute = 1e-3}));
  EXPECT_NE(
      render_table(records, 0.5)
          .find(
              "\nworkload    TP  bytes/call     busbw  mem/rank  compute     comm            step  speed-up"),
      std::string::npos)
      << render_table(records, 0.5);
}

// `few` cases skipped for one reason and `many` for another.
std::vector<Record> records_with_skipped(std::int64_t few, std::int64_t many) {
  std::vector<Record> records = {make_ok(make_case("mlp", 1), {.compute = 1e-3})};
  for (std::int64_t i = 0; i < few + many; ++i) {
    records.push_back(make_not_ok(make_case("mlp", i < few ? 2 : 4, 1024 * (i + 1)), Status::skipped,
                                  ReasonCode::ranks, i < few ? "two ranks" : "four ranks"));
  }
  return records;
}

TEST(Table, ManyCasesSkippedForOneReasonAreOneLine) {
  const std::string text = render_table(records_with_skipped(4, 5), 0.5);
  std::size_t rows = 0;
  for (const std::string& line : split(text, '\n'))
    rows += line.find("  skipped: two ranks") != std::string::npos;
  EXPECT_EQ(rows, 4U) << text;
  EXPECT_EQ(text.find("skipped: four ranks"), text.rfind("skipped: four ranks")) << text;
  EXPECT_NE(text.find("\n5 cases skipped: four ranks\n"), std::string::npos) << text;
  std::vector<Record> alone = records_with_skipped(0, 6);
  alone.erase(alone.begin());
  EXPECT_NE(render_table(alone, 0.5).find("\n\n6 cases skipped: four ranks\n"), std::string::npos)
      << render_table(alone, 0.5);
}

TEST(Table, TheLegendHasTheWordsOfTheWorstCase) {
  std::vector<Record> records = {make_ok(make_case("mlp", 1), {.compute = 1e-3, .wait = 1e-4}),
                                 make_ok(make_case("mlp", 2), {.compute = 1e-3, .wait = 3e-4}),
                                 make_ok(make_case("mlp", 4), {.compute = 1e-3, .wait = 2e-4})};
  records[0].warnings = {{"imbalance", "waits are 10 %"}, {"new_code", "one"}};
  records[1].warnings = {{"imbalance", "waits are 30 %"}, {"new_code", "two"}};
  records[2].warnings = {{"imbalance", "waits are 20 %"}};
  const std::string text = render_table(records, 0.5);
  EXPECT_NE(text.find("\nimbalance (all 3 cases, the worst of them): waits are 30 %\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("\nnew_code (2 of 3 cases, one of them): one\n"), std::string::npos) << text;
  records.resize(1);
  EXPECT_NE(render_table(records, 0.5).find("\nimbalance (1 of 1 case): waits are 10 %\n"),
            std::string::npos);
}

// Those on one stage in one microbatch too, with which the others are compared.
TEST(Table, HasTheRateOfEveryCaseOfAWorkloadWithStages) {
  Case piped = make_case("block", 1);
  piped.layout.pp = 2;
  piped.microbatches = 2;
  piped.batch_size = 2;
  normalise_case(piped);
  Case whole = piped;
  whole.layout.pp = whole.microbatches = 1;
  normalise_case(whole);
  const auto cells = [](const std::vector<Record>& records) {
    std::string text;
    for (const Section& section : result_sections(records, 0.5)) {
      for (std::size_t i = 0; i < section.columns.size(); ++i) {
        if (section.columns[i].heading != "tokens/s") continue;
        for (const Section::Row& row : section.rows) text += text_of(row.cells[i]) + ' ';
      }
    }
    return text;
  };
  EXPECT_EQ(cells({make_ok(whole, {.compute = 256.0 / 45569}), make_ok(piped, {.compute = 256.0 / 60000}),
                   make_ok(make_case("mlp", 1), {.compute = 1})}),
            "- 45569 60000 ");
  EXPECT_EQ(cells({make_ok(whole, {.compute = 1})}), "") << "no case has stages";
}

TEST(Table, OfNothing) { EXPECT_EQ(render_table({}, 0.5), "no cases\n"); }

TEST(Text, WrapsTheTextOfARow) {
  Section section = {.columns = {{"TP", Align::right}, {"step", Align::right}}, .rest_from = 1};
  section.rows = {{{16, Value()}, "first line\nsecond " + std::string(120, 'x') + " end"}};
  EXPECT_EQ(to_text({section}),
            "TP  step\n16  first line second\n    " + std::string(120, 'x') + "\n    end\n");
}

// ---- csv

std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, std::vector<std::string>(1));
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"')
      rows.back().back() += text[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && c == ',')
      rows.back().emplace_back();
    else if (!quoted && c == '\n')
      rows.emplace_back(1);
    else
      rows.back().back() += c;
  }
  rows.pop_back();  // after the last line end
  return rows;
}

TEST(Csv, QuotesWhatRfc4180Wants) {
  EXPECT_EQ(csv_cell(nullptr), "");
  EXPECT_EQ(csv_cell("plain words"), "plain words");
  EXPECT_EQ(csv_cell("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_cell("say \"x\""), "\"say \"\"x\"\"\"");
  EXPECT_EQ(csv_cell("two\nlines"), "\"two\nlines\"");
  EXPECT_EQ(csv_cell(true), "true");
  EXPECT_EQ(csv_cell(0.1), "0.1");
}

TEST(Csv, HasOneRowPerRecordWithTheValuesOfTheRecord) {
  std::vector<Record> records = sweep_records();
  records[0].label = "eth, \"1g\"\nshaped";
  records[1].collectives.assign(2, CollectiveResult{});
  const auto rows = parse_csv(render_csv(records));
  ASSERT_EQ(rows.size(), records.size() + 1);
  for (const auto& row : rows) ASSERT_EQ(row.size(), rows[0].size());
  const auto cell = [&](const Record& record, const std::string& name) {
    const auto column = std::find(rows[0].begin(), rows[0].end(), name) - rows[0].begin();
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r[0] == record.id; });
    return row->at(static_cast<std::size_t>(column));
  };
  const Record& record = records[0];
  EXPECT_EQ(cell(record, "label"), record.label);
  EXPECT_EQ(cell(record, "status"), "ok");
  EXPECT_EQ(cell(record, "reason"), "");
  EXPECT_EQ(cell(record, "tp_degree"), "4");
  EXPECT_EQ(cell(record, "num_heads"), "");
  EXPECT_EQ(std::stod(cell(record, "step_median_s")), record.time->step.summary.median);
  EXPECT_EQ(std::stod(cell(record, "wait_ci95_high_s")), (*record.time->wait.summary.ci95)[1]);
  EXPECT_EQ(cell(record, "weights_bytes"), std::to_string((*record.memory->by_category)[Category::weights]));
  EXPECT_EQ(cell(record, "collective_op"), "all_reduce");
  EXPECT_EQ(cell(record, "collective_kinds"), "1");
  EXPECT_EQ(std::stod(cell(record, "busbw_gb_per_s")), 1.0 / 3.0);
  EXPECT_EQ(std::stod(cell(record, "efficiency")), *record.scaling.efficiency);
  EXPECT_EQ(cell(record, "passed"), "true");
  EXPECT_EQ(cell(record, "warnings"), "oversubscribed;unconverged");

  EXPECT_EQ(cell(record, "model"), "");
  EXPECT_EQ(cell(record, "model_activation_bytes"), "");
  EXPECT_EQ(cell(record, "backward_compute_median_s"), "") << "a forward pass has no halves";

  EXPECT_EQ(cell(records[1], "collective_kinds"), "2");
  EXPECT_EQ(cell(records[1], "collective_op"), "") << "one row has room for one kind";

  const Record& skipped = records[1];
  EXPECT_EQ(cell(skipped, "reason_code"), "divisibility");
  EXPECT_EQ(cell(skipped, "reason"), *skipped.reason);
  for (const char* name : {"step_median_s", "peak_bytes", "flop_per_rank", "busbw_gb_per_s", "passed"}) {
    EXPECT_EQ(cell(skipped, name), "") << name;
  }
}

TEST(Csv, HasTheHalvesOfTrainingAndTheEstimateForTheModel) {
  Record record = make_ok(sample::make_model_case("block", 2, "llama3-8b"), {.compute = 3});
  record.time->backward_compute = sample::make_quantity(2);
  const auto rows = parse_csv(render_csv(std::vector{record}));
  const auto cell = [&](const char* name) {
    return rows[1].at(
        static_cast<std::size_t>(std::find(rows[0].begin(), rows[0].end(), name) - rows[0].begin()));
  };
  EXPECT_EQ(cell("model"), "llama3-8b");
  EXPECT_EQ(std::stod(cell("backward_compute_median_s")), record.time->backward_compute.summary.median);
  EXPECT_EQ(cell("forward_compute_median_s"), "");
  EXPECT_EQ(cell("model_parameters_and_optimizer_bytes"), std::to_string(18 * 6979321856 / 2));
  EXPECT_EQ(cell("model_activation_bytes"), std::to_string(record.model_memory->activation_bytes));
  EXPECT_EQ(cell("model_activation_sequence_parallel_bytes"),
            std::to_string(record.model_memory->activation_bytes_sequence_parallel));
  EXPECT_EQ(cell("model_activation_selective_bytes"),
            std::to_string(record.model_memory->activation_bytes_selective));
}

TEST(Csv, ColumnsHaveDistinctNames) {
  auto names = parse_csv(render_csv({})).at(0);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(Render, GivesEachFormat) {
  const std::vector<Record> records = sweep_records();
  EXPECT_EQ(render(Format::table, records, 0.5), render_table(records, 0.5));
  EXPECT_EQ(render(Format::csv, records, 0.5), render_csv(records));
  EXPECT_EQ(render(Format::none, records, 0.5), "");
  const auto lines = split(render(Format::jsonl, records, 0.5), '\n');
  ASSERT_EQ(lines.size(), records.size() + 1);
  EXPECT_EQ(lines.back(), "");
  const Record first = record_from_json(Json::parse(lines[0]));
  EXPECT_EQ(first.point.workload, "row_linear");
  EXPECT_EQ(first.point.layout.tp, 1);
}

}  // namespace
}  // namespace tpbench
