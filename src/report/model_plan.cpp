#include "report/model_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/text.hpp"
#include "report/plan_rows.hpp"
#include "report/prediction.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kMostShown = 12, kMostTooLarge = 6;

bool is_training(const ModelPlan& plan) { return plan.question.task.trains; }
bool is_inference(const ModelPlan& plan) { return !is_training(plan); }
bool of_both(const ModelPlan&) { return true; }

// What the row is ranked by but for throughput: a step, or a token.
const PredictedTime& main_time(const SplitPlan& split) { return split.token ? *split.token : split.step; }

Value part_of(double part_s, const SplitPlan& split) {
  return {part_s / main_time(split).median_s, Kind::share};
}

Value schedule_of(const SplitPlan& split) {
  if (split.split.layout.pp == 1) return {};
  std::string schedule(name_of(split.split.schedule));
  if (split.split.virtual_stages > 1) schedule += fmt::format(" v {}", split.split.virtual_stages);
  return {schedule};
}

std::string marks_of(const ModelPlan& plan, const SplitPlan& split) {
  std::vector<std::string> marks;
  const auto is_split = [&](std::size_t at) { return &plan.fitting[at] == &split; };
  if (std::any_of(plan.contenders.begin(), plan.contenders.end(), is_split)) marks.push_back("=");
  if (split.extrapolated()) marks.push_back("x");
  if (split.tp_hosts > 1) marks.push_back("h");
  return fmt::format("{}", fmt::join(marks, " "));
}

// Adding a column is a row here.
struct ShownColumn {
  const char* heading;
  Value (*get)(const ModelPlan&, const SplitPlan&);
  bool (*is_shown)(const ModelPlan&) = of_both;
};

constexpr ShownColumn kShownColumns[] = {
    {"TP", [](const ModelPlan&, const SplitPlan& s) { return Value(s.split.layout.tp); }},
    {"PP", [](const ModelPlan&, const SplitPlan& s) { return Value(s.split.layout.pp); }},
    {"copies", [](const ModelPlan&, const SplitPlan& s) { return Value(s.split.layout.dp); }},
    {"m", [](const ModelPlan&, const SplitPlan& s) { return Value(s.split.microbatches); }},
    {"schedule", [](const ModelPlan&, const SplitPlan& s) { return schedule_of(s); }, is_training},
    {"mem/rank", [](const ModelPlan&, const SplitPlan& s) { return Value(s.memory.total(), Kind::bytes); }},
    {"step", [](const ModelPlan&, const SplitPlan& s) { return Value(s.step.median_s, Kind::seconds); },
     is_training},
    {"per token",
     [](const ModelPlan&, const SplitPlan& s) { return Value(main_time(s).median_s, Kind::seconds); },
     is_inference},
    {"low", [](const ModelPlan&, const SplitPlan& s) { return Value(main_time(s).low_s, Kind::seconds); }},
    {"high", [](const ModelPlan&, const SplitPlan& s) { return Value(main_time(s).high_s, Kind::seconds); }},
    {"first token",
     [](const ModelPlan&, const SplitPlan& s) { return Value(s.step.median_s, Kind::seconds); },
     is_inference},
    {"tokens/s",
     [](const ModelPlan&, const SplitPlan& s) { return Value(s.tokens_per_s.median, Kind::three_digits); }},
    {"compute", [](const ModelPlan&, const SplitPlan& s) { return part_of(s.compute_s, s); }},
    {"collectives", [](const ModelPlan&, const SplitPlan& s) { return part_of(s.communication_s, s); }},
    {"waiting", [](const ModelPlan&, const SplitPlan& s) { return part_of(s.waiting_s, s); }},
    {"", [](const ModelPlan& plan, const SplitPlan& s) { return Value(marks_of(plan, s)); }},
};

Section splits_section(const ModelPlan& plan) {
  const std::vector<std::size_t> best = best_of_each(plan);
  Section table = {.title = fmt::format("Splits of {} that fit, the best of each TP x PP{}",
                                        plan.question.task.model.name,
                                        best.size() > kMostShown ? ", the first 12" : "")};
  for (const ShownColumn& column : kShownColumns) {
    const Align align = *column.heading == 0 ? Align::left : Align::right;
    if (column.is_shown(plan)) table.columns.push_back({column.heading, align});
  }
  for (std::size_t i = 0; i < std::min(best.size(), kMostShown); ++i) {
    Section::Row row;
    for (const ShownColumn& column : kShownColumns) {
      if (column.is_shown(plan)) row.cells.push_back(column.get(plan, plan.fitting[best[i]]));
    }
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      "m: microbatches of a copy; =: cannot be told from the best; x: extrapolated, more than 4 times beyond "
      "what was measured; h: its collectives cross hosts. Shares are of the stage that has most to do. All "
      "times are composed: layers times a layer, embedding and head, the schedule replayed; 9 of 10 are to "
      "lie "
      "between low and high."};
  return table;
}

Section too_large_section(const ModelPlan& plan) {
  Section table = {.title = "Too large, the smallest of each TP x PP"};
  table.columns = {{"TP", Align::right},
                   {"PP", Align::right},
                   {"copies", Align::right},
                   {"m", Align::right},
                   {"mem/rank", Align::right},
                   {"over", Align::right},
                   {"weights", Align::right},
                   {plan.question.task.trains ? "gradients, optimizer" : "KV cache", Align::right},
                   {"activations", Align::right}};
  for (const SplitPlan& split : plan.too_large) {
    if (table.rows.size() == kMostTooLarge) break;
    const StageMemory& memory = split.memory;
    table.rows.push_back(
        {{Value(split.split.layout.tp), Value(split.split.layout.pp), Value(split.split.layout.dp),
          Value(split.split.microbatches), Value(memory.total(), Kind::bytes),
          Value(split.over_bytes, Kind::bytes), Value(memory.weights, Kind::bytes),
          Value(memory.gradients + memory.optimizer + memory.kv_cache, Kind::bytes),
          Value(memory.activations, Kind::bytes)}});
  }
  if (plan.too_large.size() > kMostTooLarge)
    table.notes.push_back(fmt::format("and {} more", plan.too_large.size() - kMostTooLarge));
  return table;
}

// The best split, or the one that is nearest to fitting; equal stages stand in one row.
Section stages_section(const ModelPlan& plan) {
  const SplitPlan& split = plan.fitting.empty() ? plan.too_large.front() : plan.fitting.front();
  Section table = {.title = "Memory of a rank by stage, " + layout_words(split.split.layout)};
  table.columns = {{"stage"}};
  const bool is_trained = is_training(plan);
  for (const char* heading : {"weights", "of them ends", is_trained ? "gradients" : "KV cache",
                              is_trained ? "optimizer" : "", "activations", "buffers", "sum"}) {
    if (*heading != 0) table.columns.push_back({heading, Align::right});
  }
  std::vector<std::int64_t> before;
  std::int64_t first = 0;
  for (std::int64_t rank = 0; rank < split.split.layout.pp; ++rank) {
    const StageMemory memory = stage_memory(plan.question.task, split.split, rank);
    std::vector<std::int64_t> bytes = {memory.weights, memory.end_weights,
                                       is_trained ? memory.gradients : memory.kv_cache};
    if (is_trained) bytes.push_back(memory.optimizer);
    for (const std::int64_t more : {memory.activations, memory.buffers, memory.total()})
      bytes.push_back(more);
    if (bytes == before) {
      table.rows.back().cells.front() = Value(fmt::format("{} to {}", first, rank));
      continue;
    }
    first = rank;
    before = bytes;
    Section::Row row = {{Value(std::to_string(rank))}};
    for (const std::int64_t of : bytes) row.cells.emplace_back(of, Kind::bytes);
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Stages of long pipelines differ by a microbatch each: a few tell.
Section with_few_rows(Section table) {
  constexpr std::size_t kMostStages = 8;
  if (table.rows.size() <= kMostStages) return table;
  const std::size_t left_out = table.rows.size() - kMostStages;
  const auto from = table.rows.begin() + kMostStages / 2;
  table.rows.erase(from, from + static_cast<std::ptrdiff_t>(left_out));
  table.notes.push_back(fmt::format("{} in the middle are left out", counted(left_out, "row")));
  return table;
}

Section all_rows(const ModelPlan& plan) {
  Section table;
  for (const auto& field : fields_of<PlanRow>())
    table.columns.push_back({.heading = std::string(field.key), .key = std::string(field.key)});
  for (const PlanRow& row : plan_rows(plan)) {
    Section::Row cells;
    for (const auto& field : fields_of<PlanRow>()) {
      const Json value = field.get(row);
      if (!value.is_array()) {
        cells.cells.emplace_back(value);
        continue;
      }
      std::vector<std::string> words;
      for (const Json& word : value) words.push_back(word.get<std::string>());
      cells.cells.emplace_back(fmt::format("{}", fmt::join(words, "; ")));
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

// What the numbers are worth, and what they do not come from.
Section trust_section(const PlanReport& report) {
  if (report.plan->measured_cases == 0) {
    const Spread& spread = report.calibration->spread;
    return {.sentences = {
                fmt::format("Ranges are what the description says of itself: {:.3g} % of compute, {:.3g} "
                            "% of communication.",
                            spread.compute * 100, spread.communication * 100)}};
  }
  Section section = {.sentences = trust_sentences(*report.calibration)};
  if (report.plan->question.machine.cache == CacheState::warm)
    section.sentences.emplace_back(
        "Measured with warm caches, which the weights of a whole model do not find, least of all when a "
        "token "
        "is made: --set cache=cold measures what a plan wants.");
  for (const std::string& sentence : left_out_sentences(*report.calibration))
    section.sentences.push_back("left out: " + sentence);
  return section;
}

std::vector<Section> sections_of(const PlanReport& report) {
  const ModelPlan& plan = *report.plan;
  std::vector<Section> sections = {{.sentences = plan_answer(report)},
                                   {.sentences = {plan_question(plan.question)}}};
  sections.push_back(trust_section(report));
  if (!plan.fitting.empty()) sections.push_back(splits_section(plan));
  sections.push_back(with_few_rows(stages_section(plan)));
  if (!plan.too_large.empty()) sections.push_back(too_large_section(plan));
  if (!plan.question.task.model.not_run.empty())
    sections.push_back({.title = "Not counted of this model", .sentences = plan.question.task.model.not_run});
  return sections;
}

}  // namespace

std::string render_model_plan(Format format, const PlanReport& report) {
  switch (format) {
    case Format::table:
      return to_text(sections_of(report));
    case Format::markdown:
      return to_markdown(sections_of(report));
    case Format::json:
      return plan_document(*report.plan, *report.calibration, plan_answer(report))
                 .dump(2, ' ', false, Json::error_handler_t::replace) +
             '\n';
    case Format::csv:
      return to_csv(all_rows(*report.plan));
    case Format::jsonl:
      return to_jsonl(all_rows(*report.plan));
    case Format::none:
      return "";
  }
  throw std::logic_error("render_model_plan: unknown format");
}

}  // namespace tpbench
