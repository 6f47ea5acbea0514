#include "sweep/expand.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <unordered_set>

#include "base/json.hpp"
#include "sweep/model_check.hpp"
#include "sweep/schema_check.hpp"

namespace tpbench {
namespace {

struct Axis {
  const CaseField* field = nullptr;
  std::vector<Json> values;
};

// Where cases come from: the product, or one point of `cases`.
struct Origin {
  std::string pointer;  // "" or "/cases/3"
  std::vector<Axis> axes;
};

std::vector<Json> listed(const Json& value) {
  return value.is_array() ? std::vector<Json>(value.begin(), value.end()) : std::vector<Json>{value};
}

// The values of one field: those that `point` names in place of the sweep's.
std::vector<Json> values_of(const std::string& key, const Json& resolved, const Json& point) {
  if (point.contains(key)) return {point[key]};
  // A point that names a model has its shape from there, and not from the rest of the sweep.
  if (is_set_by_model(key) && names_model(point)) return {nullptr};
  if (resolved.contains(key)) return listed(resolved[key]);
  return listed(resolved["measure"][key]);  // `cache` is a setting of the measurement
}

// Every axis of the sweep. Null alone is no axis: the field stays as it is in an empty case.
std::vector<Axis> axes_of(const Json& resolved, const Json& point) {
  std::vector<Axis> axes;
  for (const CaseField& field : case_fields()) {
    std::vector<Json> values = values_of(std::string(field.key), resolved, point);
    if (values.size() > 1 || !values.front().is_null()) axes.push_back({&field, std::move(values)});
  }
  return axes;
}

// A product that does not fit is kMaxCases + 1: enough to refuse it.
std::size_t size_of(const std::vector<Axis>& axes) {
  std::size_t size = 1;
  for (const Axis& axis : axes) size = std::min(size * axis.values.size(), kMaxCases + 1);
  return size;
}

// Whether a point that names no hidden_size gets one.
bool has_model_or_size(const Json& resolved, const Json& point) {
  return names_model(point.contains("model") ? point : resolved) || !resolved["hidden_size"].is_null();
}

std::vector<Origin> origins_of(const Json& resolved, std::vector<Fault>& faults) {
  std::vector<Origin> origins;
  const bool has_shape = !resolved["hidden_size"].is_null() || names_model(resolved);
  if (has_shape) origins.push_back({"", axes_of(resolved, Json::object())});
  for (std::size_t i = 0; i < resolved["cases"].size(); ++i) {
    const Json& point = resolved["cases"][i];
    const std::string pointer = fmt::format("/cases/{}", i);
    if (!point.contains("hidden_size") && !has_model_or_size(resolved, point)) {
      faults.push_back({"", pointer, shown(point), "must name hidden_size or model, as the sweep has none"});
    } else {
      origins.push_back({pointer, axes_of(resolved, point)});
    }
  }
  std::size_t total = 0;
  for (const Origin& origin : origins) total = std::min(total + size_of(origin.axes), kMaxCases + 1);
  if (total > kMaxCases) {
    faults.push_back({"", "", "", fmt::format("must not expand to more than {} cases", kMaxCases)});
  }
  return origins;
}

// -- exclude

struct Condition {
  const CaseField* field = nullptr;
  std::vector<Json> values;

  [[nodiscard]] bool matches(const Case& point) const {
    return std::find(values.begin(), values.end(), field->get(point)) != values.end();
  }
};

struct Pattern {
  std::vector<Condition> conditions;
  bool used = false;

  [[nodiscard]] bool matches(const Case& point) const {
    return std::all_of(conditions.begin(), conditions.end(),
                       [&](const Condition& condition) { return condition.matches(point); });
  }
};

std::vector<Pattern> patterns_of(const Json& exclude) {
  std::vector<Pattern> patterns;
  for (const Json& item : exclude) {
    Pattern& pattern = patterns.emplace_back();
    for (const auto& [key, value] : item.items()) {
      const auto fields = case_fields();
      const auto field =
          std::find_if(fields.begin(), fields.end(), [&](const CaseField& row) { return row.key == key; });
      pattern.conditions.push_back({&*field, listed(value)});
    }
  }
  return patterns;
}

bool is_excluded(const Case& point, std::vector<Pattern>& patterns) {
  bool excluded = false;
  for (Pattern& pattern : patterns) {
    if ((excluded && pattern.used) || !pattern.matches(point)) continue;
    pattern.used = excluded = true;
  }
  return excluded;
}

// -- the product

// A counter with carry over the axes, the last one fastest.
class Counter {
 public:
  explicit Counter(const std::vector<Axis>& axes) : axes_(axes), digits_(axes.size(), 0) {}

  [[nodiscard]] Case point() const {
    Case point;
    for (std::size_t i = 0; i < axes_.size(); ++i) axes_[i].field->set(point, axes_[i].values[digits_[i]]);
    return point;
  }

  bool advance() {
    for (std::size_t i = axes_.size(); i-- > 0;) {
      if (++digits_[i] < axes_[i].values.size()) return true;
      digits_[i] = 0;
    }
    return false;
  }

 private:
  const std::vector<Axis>& axes_;
  std::vector<std::size_t> digits_;
};

// New tokens and those whose keys and values are kept.
bool has_too_many_tokens(const Case& point) {
  return point.batch_size * (point.context_length.value_or(0) + point.sequence_length) > kMaxTokens;
}

Fault too_many_tokens(const Origin& origin, const Case& point) {
  const std::int64_t context = point.context_length.value_or(0);
  return {"", origin.pointer + "/batch_size",
          fmt::format("{} with sequence_length {}{}", point.batch_size, point.sequence_length,
                      context == 0 ? "" : fmt::format(" and context_length {}", context)),
          fmt::format("batch_size x {} must not be more than {} tokens",
                      context == 0 ? "sequence_length" : "(context_length + sequence_length)", kMaxTokens)};
}

}  // namespace

Expansion expand_sweep(const Json& resolved, std::span<const Model> of_files) {
  Expansion expansion;
  const std::vector<Origin> origins = origins_of(resolved, expansion.faults);
  if (!expansion.faults.empty()) return expansion;

  std::vector<Pattern> patterns = patterns_of(resolved["exclude"]);
  std::unordered_set<std::string> ids;
  for (const Origin& origin : origins) {
    bool refused = false;
    Counter counter(origin.axes);
    do {
      Case point = counter.point();
      normalise_case(point, of_files);
      if (is_excluded(point, patterns)) continue;
      if (has_too_many_tokens(point) && !refused) expansion.faults.push_back(too_many_tokens(origin, point));
      refused = refused || has_too_many_tokens(point);
      if (ids.insert(case_id(point)).second) expansion.cases.push_back(std::move(point));
    } while (counter.advance());
  }

  for (std::size_t i = 0; i < patterns.size(); ++i) {
    if (!patterns[i].used) expansion.remarks.push_back(fmt::format("/exclude/{} matches no case", i));
  }
  if (expansion.cases.empty()) {
    expansion.faults.push_back({"", "/exclude", "", "removes every case of the sweep"});
  }
  return expansion;
}

}  // namespace tpbench
