#include "report/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "workload/pipeline_plan.hpp"

namespace tpbench {
namespace {

// What the backend adds to the formulas of the workload is the same on all ranks.
void plan_stages(PlannedCase& planned, const Cost& cost) {
  Shape shape = planned.point.shape();
  std::int64_t most = 0;
  for (shape.pp_rank = 0; shape.pp_rank < shape.layout.pp; ++shape.pp_rank) {
    planned.stage_peaks.push_back(planned.point.workload_row().cost(shape).memory.total());
    most = std::max(most, planned.stage_peaks.back());
  }
  for (std::int64_t& peak : planned.stage_peaks) peak += cost.memory.total() - most;
  const BoundaryTraffic traffic = boundary_traffic(shape);
  planned.messages_per_step = traffic.messages;
  planned.message_bytes_per_step = traffic.bytes;
}

bool is_replayed(const PlannedCase& planned) { return planned.replay.has_value(); }
template <auto part>
Value of_replay(const PlannedCase& planned, Kind kind) {
  return planned.replay ? Value((*planned.replay).*part, kind) : Value();
}

bool has_stages_planned(const PlannedCase& planned) { return planned.point.layout.pp > 1; }
bool is_any_planned(const PlannedCase&) { return true; }

PlannedCase plan_case(const Case& point, const WhyNever& why_never, const CostOf& cost_of,
                      std::span<const Record> earlier) {
  const Workload& workload = point.workload_row();
  const Shape shape = point.shape();

  PlannedCase planned;
  planned.id = case_id(point);
  planned.point = point;
  planned.skip_reason = why_impossible(workload, shape);
  if (planned.skip_reason) return planned;
  planned.unsharded_peak = cost_of(point, Layout{}).memory.total();
  planned.skip_reason = why_not_divisible(workload, shape);
  if (planned.skip_reason) return planned;
  planned.skip_reason = why_never(point);
  const Cost cost = cost_of(point, point.layout);
  planned.predicted_peak = cost.memory.total();
  planned.flop_per_rank = cost.flop();
  planned.bytes_per_step = cost.bytes_per_step();
  if (shape.layout.pp > 1) plan_stages(planned, cost);
  planned.replay = replay_from(point, earlier);
  return planned;
}

using Limit = std::optional<std::int64_t>;

bool is_too_large(const PlannedCase& planned, const Limit& limit) {
  return limit && planned.predicted_peak.value_or(0) > *limit;
}

// "; 3 of 8 do not fit in 24.0 GB per rank"
std::string fit_text(const std::vector<PlannedCase>& plan, const Limit& limit) {
  if (!limit) return "";
  const auto known =
      static_cast<std::size_t>(std::count_if(plan.begin(), plan.end(), [](const PlannedCase& planned) {
        return planned.predicted_peak.has_value();
      }));
  const auto large = static_cast<std::size_t>(std::count_if(
      plan.begin(), plan.end(), [&](const PlannedCase& planned) { return is_too_large(planned, limit); }));
  const std::string memory = format_bytes(static_cast<double>(*limit));
  if (known == 0) return "";
  if (large == 0) return fmt::format("; all {} fit in {} per rank", known, memory);
  return fmt::format("; {} of {} {} not fit in {} per rank", large, counted(known, "case"),
                     large == 1 ? "does" : "do", memory);
}

std::string totals_text(const std::vector<PlannedCase>& plan) {
  std::size_t skipped = 0;
  std::int64_t largest_peak = 0, ranks = 0;
  for (const PlannedCase& planned : plan) {
    if (planned.skip_reason) {
      ++skipped;
      continue;
    }
    largest_peak = std::max(largest_peak, *planned.predicted_peak);
    ranks = std::max(ranks, planned.point.layout.ranks());
  }
  std::string text = counted(plan.size(), "case");
  if (skipped > 0) text += fmt::format(", {} of them skipped", skipped);
  if (skipped == plan.size()) return text + "; nothing would run";
  return text + fmt::format("; largest predicted peak {} per rank; {} needed",
                            format_bytes(static_cast<double>(largest_peak)),
                            counted(static_cast<std::size_t>(ranks), "rank"));
}

// Between the fewest steps that sampling takes, computed at a rate of few CPU cores, and its limits. GPUs are
// faster, and then the upper end counts.
std::string duration_text(const std::vector<PlannedCase>& plan, const MeasureSettings& measure) {
  constexpr double kFlopPerSecond = 5e10, kCase_s = 0.1, kUpperCase_s = 0.5;
  double least_s = 0, most_s = 0;
  std::size_t cases = 0;
  for (const PlannedCase& planned : plan) {
    if (planned.skip_reason) continue;
    ++cases;
    const double step_s = *planned.flop_per_rank / kFlopPerSecond;
    const auto steps = static_cast<double>(measure.warmup_steps + measure.min_samples);
    // A cap ends sampling early, and never within the first step.
    least_s += kCase_s + std::min(steps * step_s, 2 * (measure.max_seconds + step_s));
    most_s += kUpperCase_s + 2 * (measure.max_seconds + step_s) +
              step_s * static_cast<double>(planned.point.layout.ranks() + 1);  // verification
  }
  if (cases == 0) return "";
  const auto epochs = static_cast<double>(measure.epochs);
  return fmt::format(
      "takes about {} to {}: {}{}, each sampled until its interval is narrow, or for {:.3g} s",
      format_duration(epochs * least_s), format_duration(epochs * most_s), counted(cases, "case"),
      measure.epochs > 1 ? fmt::format(" in {} epochs", measure.epochs) : "", measure.max_seconds);
}

// Behind the case: what it would cost. Adding one is a row here.
struct PlanColumn {
  const char* heading;
  const char* key;
  Value (*get)(const PlannedCase&);
  bool (*concerns)(const PlannedCase&) = is_any_planned;  ///< people see it when it concerns one of the cases
};

// Memory is shown also where a backend cannot run the case.
constexpr PlanColumn kMemoryColumns[] = {
    {"mem/rank", "predicted_peak_bytes",
     [](const PlannedCase& p) { return Value(p.predicted_peak, Kind::bytes); }},
    {"unsharded", "unsharded_peak_bytes",
     [](const PlannedCase& p) {
       return p.unsharded_peak == 0 ? Value() : Value(p.unsharded_peak, Kind::bytes);
     }},
};

constexpr PlanColumn kPlanColumns[] = {
    {"FLOP/rank", "flop_per_rank", [](const PlannedCase& p) { return Value(p.flop_per_rank, Kind::flop); }},
    {"collectives", "bytes_per_step",
     [](const PlannedCase& p) { return Value(p.bytes_per_step, Kind::bytes); }},
    {"mem of each stage", "stage_peaks",
     [](const PlannedCase& p) {
       return p.stage_peaks.empty() ? Value() : Value(p.stage_peaks, Kind::bytes_list);
     },
     has_stages_planned},
    {"messages", "messages_per_step", [](const PlannedCase& p) { return Value(p.messages_per_step); },
     has_stages_planned},
    {"message bytes", "message_bytes_per_step",
     [](const PlannedCase& p) { return Value(p.message_bytes_per_step, Kind::bytes); }, has_stages_planned},
    {"replayed step", "replayed_step_s",
     [](const PlannedCase& p) { return of_replay<&PlannedReplay::step_s>(p, Kind::seconds); }, is_replayed},
    {"replayed bubble", "replayed_bubble",
     [](const PlannedCase& p) { return of_replay<&PlannedReplay::bubble>(p, Kind::share_tenths); },
     is_replayed},
    {"with the times of", "replayed_from",
     [](const PlannedCase& p) { return of_replay<&PlannedReplay::from>(p, Kind::plain); }, is_replayed},
};

void add_column(Section& table, const std::vector<PlannedCase>& plan, const PlanColumn& column) {
  const bool shown = std::any_of(plan.begin(), plan.end(), column.concerns);
  table.columns.push_back(
      {.heading = column.heading, .align = Align::right, .key = column.key, .is_shown = shown});
}

// People read one column, programs two.
void add_fit(Section::Row& row, const PlannedCase& planned, const Limit& limit) {
  const bool is_known = limit && planned.predicted_peak;
  const std::int64_t over = is_known ? std::max<std::int64_t>(0, *planned.predicted_peak - *limit) : 0;
  row.cells.push_back(!is_known  ? Value()
                      : over > 0 ? Value(format_bytes(static_cast<double>(over)) + " over")
                                 : Value("yes"));
  row.cells.push_back(is_known ? Value(over == 0) : Value());
  row.cells.push_back(is_known ? Value(over, Kind::bytes) : Value());
}

Section plan_table(const std::vector<PlannedCase>& plan, std::span<const Case> cases, const Limit& limit) {
  Section table;
  table.columns = {{.heading = "id", .key = "id"}};
  const std::vector<const CaseField*> axes = varying_fields(cases);
  // People see the axes, in their order; programs see every field of a case.
  for (const CaseField* axis : axes) table.columns.push_back(axis_column(*axis, cases.front()));
  for (Section::Column& column : table.columns) column.key = column.heading == "id" ? "id" : "";
  for (const CaseField& field : case_fields())
    table.columns.push_back({.key = std::string(field.key), .group = "case", .is_shown = false});
  table.columns.push_back({.key = "skip_reason", .is_shown = false});
  table.rest_from = table.columns.size();
  for (const PlanColumn& column : kMemoryColumns) add_column(table, plan, column);
  if (limit) {
    table.columns.push_back({.heading = "fits", .align = Align::right});
    table.columns.push_back({.key = "fits", .is_shown = false});
    table.columns.push_back({.key = "over_bytes", .is_shown = false});
  }
  // What a case would hold is shown beside why a backend cannot run it.
  if (std::any_of(plan.begin(), plan.end(),
                  [](const PlannedCase& planned) { return planned.skip_reason && planned.predicted_peak; }))
    table.rest_from = table.columns.size();
  for (const PlanColumn& column : kPlanColumns) add_column(table, plan, column);
  for (const PlannedCase& planned : plan) {
    Section::Row row = {{planned.id}, planned.skip_reason ? "skipped: " + *planned.skip_reason : ""};
    for (const CaseField* axis : axes) row.cells.push_back(axis_value(*axis, planned.point));
    for (const CaseField& field : case_fields()) row.cells.push_back(axis_value(field, planned.point));
    row.cells.emplace_back(planned.skip_reason);
    for (const PlanColumn& column : kMemoryColumns) row.cells.push_back(column.get(planned));
    if (limit) add_fit(row, planned, limit);
    for (const PlanColumn& column : kPlanColumns) row.cells.push_back(column.get(planned));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::vector<std::string> totals(const std::vector<PlannedCase>& plan, const MeasureSettings& measure,
                                const Limit& limit) {
  std::vector<std::string> sentences = {totals_text(plan) + fit_text(plan, limit)};
  if (const std::string duration = duration_text(plan, measure); !duration.empty())
    sentences.push_back(duration);
  return sentences;
}

}  // namespace

std::vector<PlannedCase> plan_cases(std::span<const Case> cases, const WhyNever& why_never,
                                    const CostOf& cost_of, std::span<const Record> earlier) {
  std::vector<PlannedCase> plan;
  for (const Case& point : cases) plan.push_back(plan_case(point, why_never, cost_of, earlier));
  return plan;
}

std::string render_plan(Format format, std::span<const Case> cases, const MeasureSettings& measure,
                        const WhyNever& why_never, const CostOf& cost_of,
                        std::optional<std::int64_t> memory_per_rank, std::span<const Record> earlier) {
  const std::vector<PlannedCase> plan = plan_cases(cases, why_never, cost_of, earlier);
  switch (format) {
    case Format::table:
      if (plan.empty()) return to_text({{.sentences = {totals_text(plan)}}});
      return to_text({{.sentences = {shared_fields(cases)}},
                      {.sentences = case_notes(cases)},
                      plan_table(plan, cases, memory_per_rank),
                      {.sentences = totals(plan, measure, memory_per_rank)}});
    case Format::markdown:
      return to_markdown(
          {{.sentences = totals(plan, measure, memory_per_rank)}, plan_table(plan, cases, memory_per_rank)});
    case Format::json:
      return to_json(plan_table(plan, cases, memory_per_rank))
                 .dump(2, ' ', false, Json::error_handler_t::replace) +
             '\n';
    case Format::csv:
      return to_csv(plan_table(plan, cases, memory_per_rank));
    case Format::jsonl:
      return to_jsonl(plan_table(plan, cases, memory_per_rank));
    case Format::none:
      return "";
  }
  throw std::logic_error("render_plan: unknown format");
}

}  // namespace tpbench
