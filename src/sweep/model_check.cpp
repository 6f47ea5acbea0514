#include "sweep/model_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.hpp"
#include "sweep/case.hpp"
#include "sweep/schema_check.hpp"

namespace tpbench {
namespace {

bool is_name(const Json& value) { return value.is_string(); }
bool is_null(const Json& value) { return value.is_null(); }

// An axis is one value or a list of such.
bool any_value(const Json& axis, bool (*is)(const Json&)) {
  return axis.is_array() ? std::any_of(axis.begin(), axis.end(), is) : is(axis);
}

bool says_something(const Json& axis) {
  return any_value(axis, [](const Json& value) { return !value.is_null(); });
}

void check_beside(const Json& object, const std::string& pointer, const std::string& rule,
                  std::vector<Fault>& faults) {
  for (const ModelField& row : model_fields()) {
    const auto found = object.find(row.key);
    if (found == object.end() || !says_something(*found)) continue;
    faults.push_back({"", fmt::format("{}/{}", pointer, row.key), shown(*found), rule});
  }
}

void check_point(const Json& point, const std::string& pointer, bool sweep_names_model,
                 std::vector<Fault>& faults) {
  if (names_model(point)) {
    check_beside(point, pointer,
                 fmt::format("must be left out with model {}, which sets it", shown(point["model"])), faults);
  } else if (sweep_names_model && !point.contains("model")) {
    check_beside(point, pointer,
                 "must be left out, as the sweep's model sets it, or be combined with \"model\": null",
                 faults);
  }
}

}  // namespace

bool names_model(const Json& object) {
  const auto model = object.find("model");
  return model != object.end() && any_value(*model, is_name);
}

bool is_set_by_model(std::string_view key) {
  const auto rows = model_fields();
  return std::any_of(rows.begin(), rows.end(), [&](const ModelField& row) { return row.key == key; });
}

void check_models(const Json& sweep, std::vector<Fault>& faults) {
  if (!sweep.is_object()) return;
  const bool named = names_model(sweep);
  if (named && any_value(sweep["model"], is_null)) {
    faults.push_back(
        {"", "/model", shown(sweep["model"]),
         "must not list null beside names: a case without a model needs the hidden_size that one "
         "with a model must not have; put either kind into `cases`"});
  } else if (named) {
    check_beside(
        sweep, "",
        fmt::format("must be left out, or null, with model {}, which sets it", shown(sweep["model"])),
        faults);
  }
  const auto cases = sweep.find("cases");
  if (cases == sweep.end() || !cases->is_array()) return;
  for (std::size_t i = 0; i < cases->size(); ++i) {
    if ((*cases)[i].is_object()) check_point((*cases)[i], fmt::format("/cases/{}", i), named, faults);
  }
}

}  // namespace tpbench
