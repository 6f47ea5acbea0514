#include "sweep/schema_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "base/json.hpp"
#include "base/json_schema.hpp"
#include "base/text.hpp"
#include "sweep/json_text.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {

extern const std::string_view sweep_schema_text;  // docs/sweep.schema.json, made by cmake/EmbedText.cmake

namespace {

// valijson compares every pair of a list and words every pair that is equal; `find_repeated_values` does it
// in one pass.
void drop_unique_items(Json& node) {
  if (node.is_object()) node.erase("uniqueItems");
  for (Json& child : node) {
    if (child.is_structured()) drop_unique_items(child);
  }
}

const Json& schema_for_validator() {
  static const Json schema = [] {
    Json copy = sweep_schema();
    drop_unique_items(copy);
    return copy;
  }();
  return schema;
}

void find_repeated_values(const Json& list, const std::string& pointer, std::vector<Fault>& faults) {
  if (!list.is_array()) return;
  std::map<std::string, std::size_t> first;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto [known, added] = first.try_emplace(list[i].dump(), i);
    if (added) continue;
    faults.push_back({"", fmt::format("{}/{}", pointer, i), shown(list[i]),
                      fmt::format("appears twice in its list (first at {}/{})", pointer, known->second)});
  }
}

void find_repeated_values(const Json& document, std::vector<Fault>& faults) {
  for (const auto& [key, value] : document.items()) {
    if (key != "cases" && key != "exclude") find_repeated_values(value, pointer_step(key), faults);
  }
  const auto exclude = document.find("exclude");
  if (exclude == document.end() || !exclude->is_array()) return;
  for (std::size_t i = 0; i < exclude->size(); ++i) {
    if (!(*exclude)[i].is_object()) continue;
    for (const auto& [key, value] : (*exclude)[i].items()) {
      find_repeated_values(value, fmt::format("/exclude/{}{}", i, pointer_step(key)), faults);
    }
  }
}

// -- from the place of a fault to its words

struct Resolved {
  const Json* node = nullptr;   // the part of the schema that is about `value`
  const Json* value = nullptr;  // null when the pointer leads nowhere
  bool may_be_list = false;     // `node` describes one value where a list of such is legal too
};

const Json& follow(const Json& node) {
  const Json* at = &node;
  while (at->contains("$ref"))
    at = &sweep_schema().at(Json::json_pointer((*at)["$ref"].get<std::string>().substr(1)));
  return *at;
}

// Axes are written as if-then-else: a list, or else one value.
Resolved settle(const Json& node, const Json& value) {
  const Json& at = follow(node);
  if (at.contains("properties") || !at.contains("if")) return {&at, &value, false};
  if (value.is_array()) return {&follow(at["then"]), &value, false};
  return {&follow(at["else"]), &value, true};
}

Resolved resolve(const Json& document, const std::string& pointer) {
  Resolved now = settle(sweep_schema(), document);
  for (const std::string& token : pointer_tokens(pointer)) {
    if (now.value->is_array() && now.node->contains("items")) {
      const std::size_t index = std::stoul(token);
      if (index >= now.value->size()) return {};
      now = settle((*now.node)["items"], (*now.value)[index]);
    } else if (now.value->is_object() && now.node->contains("properties") && now.value->contains(token) &&
               (*now.node)["properties"].contains(token)) {
      now = settle((*now.node)["properties"][token], (*now.value)[token]);
    } else {
      return {};
    }
  }
  return now;
}

bool has_type(const Json& node, const Json& value) {
  if (!node.contains("type")) return true;
  const auto is = [&value](const Json& name) {
    if (name == "integer") return value.is_number_integer();
    if (name == "number") return value.is_number();
    if (name == "boolean") return value.is_boolean();
    return name == value.type_name();  // object, array, string, null
  };
  const Json& type = node["type"];
  return type.is_array() ? std::any_of(type.begin(), type.end(), is) : is(type);
}

std::string rule_of(const Resolved& at) {
  const std::string list = at.may_be_list ? ", or a list of such" : "";
  // Names among which others are legal too.
  const Json& named = at.node->contains("anyOf") ? (*at.node)["anyOf"].front() : *at.node;
  std::vector<std::string> words;
  for (const Json& word : named.value("enum", Json::array()))
    words.push_back(word.is_null() ? "null" : word.get<std::string>());
  const std::string near = at.value->is_string() ? did_you_mean(at.value->get<std::string>(), words) : "";
  if (at.node->contains("enum")) return "must be " + join_words(words, " or ") + list + near;
  return "must be " + at.node->value("x-rule", "as docs/sweep-file.md says") + list + near;
}

// The schema's if-else at its root.
bool lacks_hidden_size(const Json& sweep) {
  const auto cases = sweep.find("cases");
  const bool lists_points = cases != sweep.end() && cases->is_array() && !cases->empty();
  const Json model = sweep.value("model", Json());
  const bool has_model = !model.is_null() && model != Json::array({nullptr});
  return !lists_points && !has_model && !sweep.contains("hidden_size");
}

void explain_object(const Resolved& at, const std::string& pointer, std::vector<Fault>& faults) {
  if (at.value->size() < at.node->value("minProperties", std::size_t{0})) {
    faults.push_back({"", pointer, shown(*at.value), rule_of(at)});
  }
  if (pointer.empty() && lacks_hidden_size(*at.value)) {
    faults.push_back({"", "/hidden_size", "",
                      "is missing; a sweep needs it, unless `model` names one or `cases` lists points"});
  }
  const std::vector<std::string> known = keys_of(*at.node);
  for (const auto& [key, value] : at.value->items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    faults.push_back({"", pointer + pointer_step(key), shown(value),
                      fmt::format("is not a key of {}{}", at.node->value("x-what", "this object"),
                                  did_you_mean(key, known))});
  }
}

// What is wrong with the value itself; nothing when only something inside it is wrong.
void explain(const Json& document, const std::string& pointer, std::vector<Fault>& faults) {
  const Resolved at = resolve(document, pointer);
  if (at.node == nullptr) return;
  if (at.value->is_array() && has_type(*at.node, *at.value) && at.node->contains("items")) {
    const std::size_t most = at.node->value("maxItems", at.value->size());
    if (at.value->size() < at.node->value("minItems", std::size_t{0})) {
      faults.push_back({"", pointer, "[]", "must not be an empty list"});
    } else if (at.value->size() > most) {
      faults.push_back(
          {"", pointer, shown(*at.value), fmt::format("must not list more than {} values", most)});
    }
  } else if (at.value->is_object() && has_type(*at.node, *at.value) && at.node->contains("properties")) {
    explain_object(at, pointer, faults);
  } else {
    faults.push_back({"", pointer, shown(*at.value), rule_of(at)});
  }
}

std::vector<Fault> explain_all(const Json& document, const std::vector<SchemaFault>& raw) {
  std::vector<Fault> faults;
  std::set<std::string> done;
  for (const SchemaFault& fault : raw) {
    if (done.insert(fault.pointer).second) explain(document, fault.pointer, faults);
  }
  // Never silent: what cannot be said better is said in the validator's words.
  if (faults.empty() && !raw.empty())
    faults.push_back({"", raw.front().pointer, "", raw.front().description});
  return faults;
}

}  // namespace

const Json& sweep_schema() {
  static const Json schema = Json::parse(sweep_schema_text);
  return schema;
}

std::vector<std::string> keys_of(const Json& node) {
  std::vector<std::string> keys;
  for (const auto& [key, child] : node.at("properties").items()) keys.push_back(key);
  return keys;
}

std::string shown(const Json& value) {
  constexpr std::size_t kMostBytes = 80;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kMostBytes) return text;
  std::size_t end = kMostBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;  // not inside a character
  return text.substr(0, end) + "...";
}

void make_integral(Json& value) {
  constexpr double kLargestExact = 9007199254740992.0;  // 2^53
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::abs(number) <= kLargestExact && number == std::floor(number))
      value = static_cast<std::int64_t>(number);
  }
  if (!value.is_structured()) return;
  for (Json& child : value) make_integral(child);
}

std::vector<Fault> check_against_sweep_schema(const Json& document) {
  std::vector<Fault> faults;
  if (document.is_object()) find_repeated_values(document, faults);
  // Whole numbers of 2^63 and more wrap inside valijson, to below 0 and so below every minimum of the schema.
  static const JsonSchema kReady(schema_for_validator());
  const std::vector<Fault> explained = explain_all(document, kReady.validate(document));
  faults.insert(faults.end(), explained.begin(), explained.end());
  return faults;
}

}  // namespace tpbench
