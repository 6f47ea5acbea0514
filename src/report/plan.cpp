#include "report/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "report/common_text.hpp"
#include "report/csv.hpp"
#include "report/text_table.hpp"

namespace tpbench {
namespace {

using Align = TextTable::Align;

PlannedCase plan_case(const Case& point, const WhyNever& why_never, const CostOf& cost_of) {
  const Workload& workload = point.workload_row();
  const Shape shape = point.shape();

  PlannedCase planned;
  planned.id = case_id(point);
  planned.point = point;
  planned.skip_reason = why_impossible(workload, shape);
  if (planned.skip_reason) return planned;
  planned.unsharded_peak = cost_of(point, Layout{}).memory.total();
  planned.skip_reason = why_not_divisible(workload, shape);
  if (!planned.skip_reason) planned.skip_reason = why_never(point);
  if (planned.skip_reason) return planned;
  const Cost cost = cost_of(point, point.layout);
  planned.predicted_peak = cost.memory.total();
  planned.flop_per_rank = cost.flop();
  planned.bytes_per_step = cost.bytes_per_step();
  return planned;
}

std::string format_flop(double flop) {
  std::string text = format_bytes(flop);  // the same prefixes
  text.pop_back();
  return text + "FLOP";
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
  if (skipped == plan.size()) return text + "; nothing would run\n";
  return text + fmt::format("; largest predicted peak {} per rank; {} needed\n",
                            format_bytes(static_cast<double>(largest_peak)),
                            counted(static_cast<std::size_t>(ranks), "rank"));
}

std::string table_text(const std::vector<PlannedCase>& plan, std::span<const Case> cases) {
  const std::vector<const CaseField*> axes = varying_fields(cases);
  TextTable table;
  table.add_column("id", Align::left);
  for (const CaseField* axis : axes) {
    table.add_column(std::string(axis->title),
                     axis->get(cases.front()).is_number() ? Align::right : Align::left);
  }
  for (const char* heading : {"mem/rank", "unsharded", "FLOP/rank", "collectives"}) {
    table.add_column(heading, Align::right);
  }
  for (const PlannedCase& planned : plan) {
    std::vector<std::string> cells = {planned.id};
    for (const CaseField* axis : axes) cells.push_back(field_text(*axis, planned.point));
    if (planned.skip_reason) {
      table.add_row_with_text(std::move(cells), "skipped: " + *planned.skip_reason);
      continue;
    }
    cells.push_back(format_bytes(static_cast<double>(*planned.predicted_peak)));
    cells.push_back(format_bytes(static_cast<double>(planned.unsharded_peak)));
    cells.push_back(format_flop(*planned.flop_per_rank));
    cells.push_back(format_bytes(static_cast<double>(*planned.bytes_per_step)));
    table.add_row(std::move(cells));
  }
  if (plan.empty()) return totals_text(plan);
  return wrapped_lines(shared_fields(cases), "  ") + '\n' + table.to_string() + '\n' + totals_text(plan);
}

// The columns of csv and the keys of jsonl, beside those of the case.
struct PlanField {
  const char* name;
  Json (*get)(const PlannedCase&);
};

constexpr PlanField kPlanFields[] = {
    {"skip_reason", [](const PlannedCase& p) { return json_or_null(p.skip_reason); }},
    {"predicted_peak_bytes", [](const PlannedCase& p) { return json_or_null(p.predicted_peak); }},
    {"unsharded_peak_bytes", [](const PlannedCase& p) { return Json(p.unsharded_peak); }},
    {"flop_per_rank", [](const PlannedCase& p) { return json_or_null(p.flop_per_rank); }},
    {"bytes_per_step", [](const PlannedCase& p) { return json_or_null(p.bytes_per_step); }},
};

std::string csv_text(const std::vector<PlannedCase>& plan) {
  std::vector<Json> cells = {"id"};
  for (const CaseField& field : case_fields()) cells.emplace_back(field.key);
  for (const PlanField& field : kPlanFields) cells.emplace_back(field.name);
  std::string text = csv_line(cells);
  for (const PlannedCase& planned : plan) {
    cells = {planned.id};
    for (const CaseField& field : case_fields()) cells.push_back(field.get(planned.point));
    for (const PlanField& field : kPlanFields) cells.push_back(field.get(planned));
    text += csv_line(cells);
  }
  return text;
}

std::string jsonl_text(const std::vector<PlannedCase>& plan) {
  std::string text;
  for (const PlannedCase& planned : plan) {
    Json line;
    line["id"] = planned.id;
    line["case"] = case_to_json(planned.point);
    for (const PlanField& field : kPlanFields) line[field.name] = field.get(planned);
    text += line.dump() + '\n';
  }
  return text;
}

}  // namespace

std::vector<PlannedCase> plan_cases(std::span<const Case> cases, const WhyNever& why_never,
                                    const CostOf& cost_of) {
  std::vector<PlannedCase> plan;
  for (const Case& point : cases) plan.push_back(plan_case(point, why_never, cost_of));
  return plan;
}

std::string render_plan(Format format, std::span<const Case> cases, const WhyNever& why_never,
                        const CostOf& cost_of) {
  const std::vector<PlannedCase> plan = plan_cases(cases, why_never, cost_of);
  switch (format) {
    case Format::table:
      return table_text(plan, cases);
    case Format::csv:
      return csv_text(plan);
    case Format::jsonl:
      return jsonl_text(plan);
    case Format::none:
      return "";
  }
  throw std::logic_error("render_plan: unknown format");
}

}  // namespace tpbench
