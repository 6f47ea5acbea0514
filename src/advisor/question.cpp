#include "advisor/question.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/fields.hpp"
#include "base/text.hpp"
#include "result/scaling.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {
namespace {

[[noreturn]] void refuse_shape(const std::string& shape, std::string rule) {
  throw UsageError({Fault{"--shape " + shape, "", "", std::move(rule)}});
}

const CaseField& field_named(const std::string& key, const std::string& shape) {
  std::vector<std::string> keys;
  for (const CaseField& field : case_fields()) {
    if (field.key == key) return field;
    keys.emplace_back(field.key);
  }
  refuse_shape(shape, fmt::format("\"{}\" is not a field of a case{}; there are {}", key,
                                  did_you_mean(key, keys), join_words(keys)));
}

// What had its default is given it anew.
void forget_defaults(Case& point, const std::set<std::string>& given) {
  Case usual;
  usual.workload = "model";  // which uses every field
  usual.hidden_size = point.hidden_size;
  normalise_case(usual);
  const bool by_model = point.model.has_value() && given.contains("model");
  const auto forget = [&](const char* key, auto Case::*member) {
    if (!given.contains(key) && (by_model || point.*member == usual.*member)) (point.*member).reset();
  };
  forget("ffn_hidden_size", &Case::ffn_hidden_size);
  forget("num_heads", &Case::num_heads);
  forget("num_kv_heads", &Case::num_kv_heads);
  if (!point.num_heads || by_model) forget("head_dim", &Case::head_dim);
  if (given.contains("num_heads") && !given.contains("head_dim")) point.head_dim.reset();
  if (given.contains("num_heads") && !given.contains("num_kv_heads")) point.num_kv_heads.reset();
}

// A measured shape as it was asked for, and the number of threads that it ran with.
struct Base {
  Case asked;
  std::optional<std::int64_t> threads_per_rank;
};

void foretell(AnswerRow& row, const Calibration& calibration, const PredictedMachine& machine) {
  try {
    row.predicted = predict_case(calibration, row.point, machine);
  } catch (const AdvisorError& error) {
    row.why_not = error.what();
  }
}

}  // namespace

MeasuredTimes measured_times(std::span<const MeasuredCase* const> launches) {
  const auto median = [&](const auto& get) {
    std::vector<double> values;
    for (const MeasuredCase* launch : launches) {
      if (const std::optional<double> value = get(launch->record)) values.push_back(*value);
    }
    std::sort(values.begin(), values.end());
    return values.empty() ? std::nullopt : std::optional(quantile_of_sorted(values, 0.5));
  };
  const auto of = [](Quantity TimeResult::*member) {
    return [member](const Record& record) {
      const Quantity& quantity = (*record.time).*member;
      return is_known(quantity) ? std::optional(quantity.summary.median) : std::nullopt;
    };
  };
  const auto waiting = [&](const Record& record) {
    const auto input_s = of(&TimeResult::input_wait)(record), end_s = of(&TimeResult::end_wait)(record);
    return input_s && end_s ? std::optional(*input_s + *end_s) : std::nullopt;
  };
  const auto bubble = [](const Record& record) {
    return record.pipeline ? record.pipeline->bubble : std::nullopt;
  };
  return {median(of(&TimeResult::step)).value_or(0),
          median(of(&TimeResult::compute)).value_or(0),
          median(of(&TimeResult::communication)),
          median(of(&TimeResult::boundary)),
          median(waiting),
          median(bubble),
          launches.size()};
}

void set_shape(Case& point, const std::string& shape) {
  std::set<std::string> given;
  std::vector<std::pair<const CaseField*, Json>> changes;
  for (const std::string& part : split(shape, ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == part.size())
      refuse_shape(shape, fmt::format("\"{}\" must have the form key=value", part));
    const std::string key = part.substr(0, equals), text = part.substr(equals + 1);
    Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    changes.emplace_back(&field_named(key, shape), value.is_discarded() ? Json(text) : value);
    if (!given.insert(key).second) refuse_shape(shape, fmt::format("has {} twice", key));
  }
  if (point.model && !given.contains("model")) {
    for (const ModelField& of_model : model_fields()) {
      if (given.contains(std::string(of_model.key)))
        refuse_shape(shape,
                     fmt::format("{} is set by model {}; model=null frees it", of_model.key, *point.model));
    }
  }
  if (given.contains("hidden_size") || given.contains("num_heads") || given.contains("model"))
    forget_defaults(point, given);
  for (const auto& [field, value] : changes) {
    try {
      field->set(point, value);
    } catch (const FieldFault& fault) {
      refuse_shape(shape, fmt::format("{} {}", field->key, fault.rule));
    }
  }
  if (point.hidden_size < 1 && !point.model) refuse_shape(shape, "has neither hidden_size nor model");
  if (find_workload(point.workload) == nullptr) {
    std::vector<std::string> names;
    for (const Workload* workload : all_workloads()) names.emplace_back(workload->name);
    refuse_shape(shape, fmt::format("\"{}\" is not a workload{}; there are {}", point.workload,
                                    did_you_mean(point.workload, names), join_words(names)));
  }
  // What another workload left empty has its default.
  if (!point.algorithm) point.algorithm = "mpi";
  if (!point.combine) point.combine = Combine::all_gather;
  if (!point.context_length) point.context_length = 0;
  if (!point.logits) point.logits = Logits::last;
  std::vector<Model> of_file;
  if (point.model && is_model_file(*point.model)) of_file.push_back(load_model_file(*point.model).model);
  try {
    normalise_case(point, of_file);
  } catch (const UsageError&) {
    throw;
  } catch (const std::runtime_error& error) {
    refuse_shape(shape, error.what());
  }
}

std::vector<AnswerRow> answer(const Calibration& calibration, std::span<const MeasuredCase> measured,
                              const Question& question) {
  std::map<std::string, std::vector<const MeasuredCase*>> launches;
  for (const MeasuredCase& one : measured) launches[one.record.id].push_back(&one);
  std::vector<AnswerRow> rows;
  std::vector<Base> bases;
  std::set<std::string> seen;
  for (const auto& [id, of_case] : launches) {
    const Case& point = of_case.front()->record.point;
    rows.push_back({id, point, measured_times(of_case), std::nullopt, ""});
    if (question.is_other_machine) foretell(rows.back(), calibration, question.machine);
    const Base base = {asked_case(of_case.front()->record), point.threads_per_rank};
    if (seen.insert(case_id_in(base.asked, {1, point.layout.pp, 1})).second) bases.push_back(base);
  }
  if (question.degrees.empty() && question.shapes.empty()) return rows;
  if (bases.empty()) bases.emplace_back();
  std::set<std::string> asked;
  const std::vector<std::string> as_it_is = {""};
  for (const Base& base : bases) {
    for (const std::string& shape : question.shapes.empty() ? as_it_is : question.shapes) {
      Case changed = base.asked;
      if (!shape.empty()) set_shape(changed, shape);
      const std::vector<std::int64_t> own = {changed.layout.tp};
      for (const std::int64_t degree : question.degrees.empty() ? own : question.degrees) {
        Case point = changed;
        point.layout.tp = degree;
        normalise_case(point);
        const std::string id = case_id(point);
        if (launches.contains(id) || !asked.insert(id).second) continue;
        if (!point.threads_per_rank) point.threads_per_rank = base.threads_per_rank;
        AnswerRow row = {id, point, std::nullopt, std::nullopt, ""};
        foretell(row, calibration, question.machine);
        rows.push_back(std::move(row));
      }
    }
  }
  return rows;
}

}  // namespace tpbench
