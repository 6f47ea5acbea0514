#include "report/axes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/json.hpp"
#include "result/scaling.hpp"
#include "sweep/model_check.hpp"

namespace tpbench {
namespace {

// How a case is split over ranks.
bool is_of_split(const CaseField* field) {
  constexpr std::string_view kOfSplit[] = {"tp_degree",      "pp_degree", "microbatches",
                                           "virtual_stages", "schedule",  "boundary"};
  return std::find(std::begin(kOfSplit), std::end(kOfSplit), field->key) != std::end(kOfSplit);
}

// case_fields() with the split at the end, tp_degree first.
std::vector<const CaseField*> fields_in_order() {
  std::vector<const CaseField*> fields;
  for (const CaseField& field : case_fields()) fields.push_back(&field);
  std::stable_partition(fields.begin(), fields.end(), [](const auto* field) { return !is_of_split(field); });
  return fields;
}

// Fields whose default follows from hidden_size or from the machine.
bool has_derived_default(const CaseField& field) {
  constexpr std::string_view kDerived[] = {"ffn_hidden_size", "num_heads", "num_kv_heads", "head_dim"};
  return std::find(std::begin(kDerived), std::end(kDerived), field.key) != std::end(kDerived);
}

// The model's own column says it.
bool is_said_by_model(const CaseField& field, const Case& point) {
  return point.model && is_set_by_model(field.key);
}

bool varies(const CaseField& field, std::span<const Case> cases) {
  std::set<std::string> values;
  std::map<std::int64_t, std::set<std::string>> by_hidden_size;
  for (const Case& point : cases) {
    const Json value = field.get(point);
    const bool is_unused = value.is_null() && field.key != "model";  // to have none is to be another shape
    if (is_unused || is_said_by_model(field, point)) continue;
    values.insert(value.dump());
    by_hidden_size[point.hidden_size].insert(value.dump());
  }
  if (!has_derived_default(field)) return values.size() > 1;
  return std::any_of(by_hidden_size.begin(), by_hidden_size.end(),
                     [](const auto& entry) { return entry.second.size() > 1; });
}

// Position in the catalog; a workload of another version sorts behind, by name.
std::pair<std::size_t, std::string> workload_place(const Case& point) {
  const auto all = all_workloads();
  const auto found = std::find(all.begin(), all.end(), find_workload(point.workload));
  return {static_cast<std::size_t>(found - all.begin()), point.workload};
}

}  // namespace

std::vector<const CaseField*> varying_fields(std::span<const Case> cases) {
  std::vector<const CaseField*> fields = fields_in_order();
  std::erase_if(fields, [&](const CaseField* field) { return !varies(*field, cases); });
  return fields;
}

std::string field_text(const CaseField& field, const Case& point) {
  return text_of(axis_value(field, point));
}

Section::Column axis_column(const CaseField& axis, const Case& any) {
  return {std::string(axis.title), axis.get(any).is_number() ? Align::right : Align::left,
          std::string(axis.key)};
}

std::string shared_fields(std::span<const Case> cases) {
  std::string text = "All cases:";
  for (const CaseField& field : case_fields()) {
    std::set<std::string> values;
    for (const Case& point : cases) {
      if (!field.get(point).is_null()) values.insert(field_text(field, point));
    }
    // Without stages and microbatches there is nothing to be said of them, nor of the library or the pages
    // that all have.
    const bool is_rare =
        is_of_split(&field) || field.key == "library" || field.key == "weight_layout" || field.key == "pages";
    const auto is_usual = [&](const Case& point) {
      const Json value = field.get(point);
      return is_rare && field.implicit && (value.is_null() || value == field.implicit(point));
    };
    if (std::all_of(cases.begin(), cases.end(), is_usual)) continue;
    if (values.size() == 1) text += fmt::format(" {}={}", field.title, *values.begin());
  }
  return text;
}

CaseNames::CaseNames(std::span<const Case> cases, std::span<const std::string_view> unsaid) {
  std::map<std::int64_t, std::set<std::int64_t>> batches_of_tokens;
  for (const Case& point : cases) batches_of_tokens[point.tokens()].insert(point.batch_size);
  const bool tokens_say_all = std::all_of(batches_of_tokens.begin(), batches_of_tokens.end(),
                                          [](const auto& entry) { return entry.second.size() == 1; });
  for (const CaseField* field : varying_fields(cases)) {
    const bool is_said = field->key == "workload" || field->key == "hidden_size" ||
                         std::find(unsaid.begin(), unsaid.end(), field->key) != unsaid.end();
    const bool is_tokens = field->key == "batch_size" || field->key == "sequence_length";
    if (!is_said && (!is_tokens || !tokens_say_all)) further_.push_back(field);
  }
}

std::string CaseNames::name(const Case& point) const {
  std::string text = fmt::format("{} h={} T={}", point.workload, point.hidden_size, point.tokens());
  for (const CaseField* field : further_) {
    if (!field->get(point).is_null()) text += fmt::format(" {}={}", field->title, field_text(*field, point));
  }
  return text;
}

std::vector<std::string> case_notes(std::span<const Case> cases) {
  std::set<std::string> heads, paddings;
  std::set<std::int64_t> from_layers;
  for (const Case& point : cases) {
    if (const auto text = default_heads_text(point)) heads.insert(*text);
    const Shape shape = point.whole_shape();
    if (point.vocab_size && shape.padded_vocabulary() != shape.vocabulary)
      paddings.insert(
          fmt::format("{} to {} at TP {}", shape.vocabulary, shape.padded_vocabulary(), point.layout.tp));
    if (point.scaled_from_layers) from_layers.insert(*point.scaled_from_layers);
  }
  std::vector<std::string> notes;
  if (!heads.empty())
    notes.push_back(fmt::format("num_heads is the default, hidden_size / 128, where none is given: {}",
                                fmt::join(heads, "; ")));
  if (!paddings.empty())
    notes.push_back(
        fmt::format("padded vocabularies, counted in memory, FLOP and bytes: {}", fmt::join(paddings, "; ")));
  if (!from_layers.empty())
    notes.push_back(fmt::format(
        "composed: {} layers of a model run, and times, memory and FLOP of results are composed for all",
        fmt::join(from_layers, " or ")));
  return notes;
}

bool comes_before(const Case& first, const Case& second) {
  if (first.workload != second.workload) return workload_place(first) < workload_place(second);
  static const std::vector<const CaseField*> kFields = fields_in_order();
  for (const CaseField* field : kFields) {
    const Json a = field->get(first), b = field->get(second);
    if (a != b) return a < b;
  }
  return false;
}

std::vector<const Record*> in_order(std::span<const Record> records) {
  // As asked: a skipped case has no resolved threads_per_rank and yet belongs among the degrees of its
  // series.
  std::vector<std::pair<Case, const Record*>> keyed;
  for (const Record& record : records) keyed.emplace_back(asked_case(record), &record);
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return comes_before(a.first, b.first); });
  std::vector<const Record*> sorted;
  for (const auto& [asked, record] : keyed) sorted.push_back(record);
  return sorted;
}

std::vector<Case> cases_of(std::span<const Record* const> records) {
  std::vector<Case> cases;
  for (const Record* record : records) cases.push_back(record->point);
  return cases;
}

}  // namespace tpbench
