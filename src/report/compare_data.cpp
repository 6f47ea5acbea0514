// What programs read of a comparison: CSV and JSON.
#include <fmt/format.h>

#include <cmath>

#include "base/json.hpp"
#include "report/axes.hpp"
#include "report/compare_render.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

Json finite_or_null(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

Json bound_or_null(const std::optional<std::array<double, 2>>& ci95, std::size_t bound) {
  return ci95 ? finite_or_null((*ci95)[bound]) : Json(nullptr);
}

// What is said of a cell: the keys of its JSON, and behind the quantity's name the columns of the CSV.
struct CellField {
  const char* name;
  Json (*get)(const Cell&);
};

constexpr CellField kCellFields[] = {
    {"base_s", [](const Cell& c) { return c.base_told ? Json(c.base_s) : Json(nullptr); }},
    {"other_s", [](const Cell& c) { return c.other_told ? Json(c.other_s) : Json(nullptr); }},
    {"ratio", [](const Cell& c) { return finite_or_null(c.ratio); }},
    {"ratio_ci95_low", [](const Cell& c) { return bound_or_null(c.ci95, 0); }},
    {"ratio_ci95_high", [](const Cell& c) { return bound_or_null(c.ci95, 1); }},
    {"machine_ratio", [](const Cell& c) { return finite_or_null(c.machine); }},
    {"rest_ratio", [](const Cell& c) { return finite_or_null(c.rest); }},
    {"rest_ratio_ci95_low", [](const Cell& c) { return bound_or_null(c.rest_ci95, 0); }},
    {"rest_ratio_ci95_high", [](const Cell& c) { return bound_or_null(c.rest_ci95, 1); }},
    {"adjusted_p", [](const Cell& c) { return finite_or_null(c.p_value); }},
    {"noise", [](const Cell& c) { return finite_or_null(c.noise); }},
    {"detectable", [](const Cell& c) { return finite_or_null(c.detectable); }},
    {"detectable_alone", [](const Cell& c) { return finite_or_null(c.detectable_alone); }},
    {"rounds_for_10_percent", [](const Cell& c) { return json_or_null(c.rounds_for_10); }},
    {"rounds_for_5_percent", [](const Cell& c) { return json_or_null(c.rounds_for_5); }},
    {"basis", [](const Cell& c) { return c.ratio ? Json(name_of(c.basis)) : Json(nullptr); }},
    {"verdict", [](const Cell& c) { return Json(name_of(c.verdict)); }},
};

Json status_or_absent(const Record* record) {
  return record == nullptr ? Json("absent") : Json(name_of(record->status));
}

Json reason_or_null(const Record* record) {
  return record == nullptr ? Json(nullptr) : json_or_null(record->reason);
}

// ---- the table

Section::Row table_row(const Comparison& comparison, const Record* base, const Record* other) {
  const Record& any = base != nullptr ? *base : *other;
  Section::Row row = {{comparison.base.path(), comparison.other.path(), any.id, status_or_absent(base),
                       status_or_absent(other), reason_or_null(base), reason_or_null(other)}};
  for (const CaseField& field : case_fields()) row.cells.push_back(axis_value(field, any.point));
  return row;
}

// ---- json

Json folder_to_json(const ResultSet& set) {
  return {{"path", set.path},
          {"label", set.label},
          {"records", set.records.size()},
          {"noise", json_or_null(set.noise())},
          {"target_ci", set.target_ci},
          {"efficiency_floor", set.efficiency_floor}};
}

// The first launch, and how many there are with it.
Json side_to_json(const Side& side) {
  Json json = folder_to_json(side.first());
  Json paths = Json::array();
  for (const ResultSet* launch : side.launches) paths.push_back(launch->path);
  json["launches"] = std::move(paths);
  return json;
}

Json machine_to_json(const std::optional<MachineChange>& machine) {
  if (!machine) return nullptr;
  return {{"ratio", finite_or_null(machine->ratio)},
          {"ratio_ci95_low", bound_or_null(machine->ci95, 0)},
          {"ratio_ci95_high", bound_or_null(machine->ci95, 1)},
          {"p", finite_or_null(machine->p_value)}};
}

Json case_to_json_cells(const ComparedCase& compared) {
  Json json;
  json["id"] = compared.base->id;
  json["case"] = case_to_json(asked_case(*compared.base));
  for (std::size_t i = 0; i < compared.cells.size(); ++i) {
    Json& cell = json[std::string(kComparedQuantities[i].name)];
    for (const CellField& field : kCellFields) cell[field.name] = field.get(compared.cells[i]);
  }
  return json;
}

Json unmatched_to_json(const UnmatchedCase& pair) {
  const Record& any = pair.base != nullptr ? *pair.base : *pair.other;
  return {{"id", any.id},
          {"base_status", status_or_absent(pair.base)},
          {"other_status", status_or_absent(pair.other)},
          {"base_reason", reason_or_null(pair.base)},
          {"other_reason", reason_or_null(pair.other)}};
}

Json summaries_to_json(const Comparison& comparison) {
  Json json;
  for (std::size_t i = 0; i < comparison.summaries.size(); ++i) {
    const QuantitySummary& summary = comparison.summaries[i];
    json[std::string(kComparedQuantities[i].name)] = {
        {"geometric_mean", finite_or_null(summary.geometric_mean)},
        {"ratios", summary.ratios},
        {"machine", finite_or_null(summary.machine)},
        {"rest", finite_or_null(summary.rest)},
        {"rests_on", name_of(summary.rests_on)},
        {"detectable", finite_or_null(summary.detectable)},
        {"rounds_for_10_percent", json_or_null(summary.rounds_for_10)},
        {"rounds_for_5_percent", json_or_null(summary.rounds_for_5)},
        {"judged", summary.judged},
        {"slower", summary.slower},
        {"faster", summary.faster},
        {"by_machine", summary.by_machine}};
  }
  return json;
}

Json useful_to_json(const std::optional<UsefulDegree>& useful) {
  return useful ? verdict_to_json(*useful) : Json(nullptr);
}

Json comparison_to_json(const Comparison& comparison) {
  Json cases = Json::array(), unmatched = Json::array(), environment = Json::array(), series = Json::array();
  for (const ComparedCase& compared : comparison.cases) cases.push_back(case_to_json_cells(compared));
  for (const UnmatchedCase& pair : comparison.unmatched) unmatched.push_back(unmatched_to_json(pair));
  for (const JsonDifference& difference : comparison.environment) {
    environment.push_back(
        {{"key", difference.pointer}, {"base", difference.first}, {"other", difference.second}});
  }
  for (const ComparedSeries& compared : comparison.series) {
    series.push_back({{"series", compared.name},
                      {"base", useful_to_json(compared.base)},
                      {"other", useful_to_json(compared.other)}});
  }
  return {{"base", side_to_json(comparison.base)},
          {"other", side_to_json(comparison.other)},
          {"rounds", comparison.rounds},
          {"design", comparison.rounds > 1 ? Json(name_of(comparison.design)) : Json(nullptr)},
          {"sentence", outcome_sentence(comparison, "base", "other")},
          {"what_can_be_seen", visibility_sentence(comparison)},
          {"alarms", comparison.alarms},
          {"machine", machine_to_json(comparison.machine)},
          {"core_latency", machine_to_json(comparison.cores)},
          {"remarks", comparison.remarks},
          {"summary", summaries_to_json(comparison)},
          {"cases", std::move(cases)},
          {"not_compared", std::move(unmatched)},
          {"environment", std::move(environment)},
          {"useful_degree", std::move(series)}};
}

}  // namespace

Section compare_table(std::span<const Comparison> comparisons) {
  Section table;
  const auto add_column = [&](std::string key) { table.columns.push_back({.key = std::move(key)}); };
  for (const char* key :
       {"base", "other", "id", "base_status", "other_status", "base_reason", "other_reason"})
    add_column(key);
  for (const CaseField& field : case_fields()) add_column(std::string(field.key));
  for (const ComparedQuantity& quantity : kComparedQuantities) {
    for (const CellField& field : kCellFields) add_column(fmt::format("{}_{}", quantity.name, field.name));
  }
  for (const Comparison& comparison : comparisons) {
    for (const ComparedCase& compared : comparison.cases) {
      Section::Row row = table_row(comparison, compared.base, compared.other);
      for (const Cell& cell : compared.cells) {
        for (const CellField& field : kCellFields) row.cells.emplace_back(field.get(cell));
      }
      table.rows.push_back(std::move(row));
    }
    for (const UnmatchedCase& pair : comparison.unmatched) {
      Section::Row row = table_row(comparison, pair.base, pair.other);
      row.cells.resize(table.columns.size());
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

std::string compare_json(std::span<const Comparison> comparisons, const Gate* gate) {
  Json list = Json::array();
  for (const Comparison& comparison : comparisons) list.push_back(comparison_to_json(comparison));
  const Json document = {{"schema", "tpbench.comparison/1"},
                         {"rule",
                          {{"false_discovery_rate", kFalseDiscoveryRate},
                           {"correction", "Benjamini-Hochberg over all cells of a comparison"},
                           {"least_difference_s", kLeastDifference_s}}},
                         {"gate", gate != nullptr ? gate_to_json(*gate) : Json(nullptr)},
                         {"comparisons", std::move(list)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace tpbench
