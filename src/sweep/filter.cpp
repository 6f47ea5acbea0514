#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "sweep/schema_check.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {
namespace {

struct Filter {
  std::string place;  // "--filter tp_degree=2,4"
  const CaseField* field = nullptr;
  std::vector<std::string> values;

  // Values are compared as they are written: 4, "mlp", mlp, null.
  [[nodiscard]] static bool equal(const Json& value, const std::string& text) {
    return value.dump() == text || (value.is_string() && value.get_ref<const std::string&>() == text);
  }

  [[nodiscard]] bool keeps(const Case& point) const {
    const Json value = field->get(point);
    return std::any_of(values.begin(), values.end(),
                       [&](const std::string& text) { return equal(value, text); });
  }
};

[[noreturn]] void refuse(const std::string& place, std::string rule) {
  throw UsageError({Fault{place, "", "", std::move(rule)}});
}

const CaseField& field_of(const std::string& key, const std::string& place) {
  std::vector<std::string> keys;
  for (const CaseField& field : case_fields()) {
    if (field.key == key) return field;
    keys.emplace_back(field.key);
  }
  refuse(place, fmt::format("\"{}\" is not a field of a case{}; there are {}", key, did_you_mean(key, keys),
                            join_words(keys)));
}

Filter parse_filter(const std::string& text) {
  const std::string place = "--filter " + text;
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) refuse(place, "must have the form key=value[,value...]");
  const CaseField& field = field_of(text.substr(0, equals), place);
  std::vector<std::string> values = split(std::string_view(text).substr(equals + 1), ',');
  if (std::find(values.begin(), values.end(), "") != values.end()) refuse(place, "has an empty value");
  return {place, &field, std::move(values)};
}

// Every value must be one that some case has: a slip in one of several would else go unseen.
void check_values_exist(const Filter& filter, std::span<const Case> cases) {
  constexpr std::size_t kMostListed = 20;
  std::vector<std::string> existing;
  std::set<std::string> seen;
  for (const Case& point : cases) {
    const std::string value = filter.field->get(point).dump();
    if (seen.insert(value).second) existing.push_back(value);
  }
  for (const std::string& value : filter.values) {
    if (seen.contains(value) || seen.contains(shown(value))) continue;
    if (existing.size() > kMostListed) {
      existing.resize(kMostListed);
      existing.emplace_back("...");
    }
    refuse(filter.place, fmt::format("no case has {} {}; there are {}", filter.field->key, value,
                                     join_words(existing, ", ")));
  }
}

}  // namespace

std::vector<Case> filter_cases(std::span<const Case> cases, std::span<const std::string> filters) {
  std::vector<Case> kept(cases.begin(), cases.end());
  for (const std::string& text : filters) {
    const Filter filter = parse_filter(text);
    check_values_exist(filter, cases);
    std::erase_if(kept, [&](const Case& point) { return !filter.keeps(point); });
  }
  if (kept.empty()) refuse(fmt::format("--filter {}", fmt::join(filters, " --filter ")), "no case is left");
  return kept;
}

}  // namespace tpbench
