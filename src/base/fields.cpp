#include "base/fields.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace tpbench::fields {
namespace {

// A value for a message, not too long for a line.
std::string shown(const Json& value) {
  constexpr std::size_t kMostBytes = 60;
  const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= kMostBytes ? text : text.substr(0, kMostBytes) + "...";
}

}  // namespace

void refuse(std::string_view must_be, const Json& value) {
  throw FieldFault(fmt::format("must be {}, not {}", must_be, shown(value)));
}

std::int64_t integer_of(const Json& value, const FieldText& text) {
  const bool too_large =
      value.is_number_unsigned() && !std::in_range<std::int64_t>(value.get<std::uint64_t>());
  if (!value.is_number_integer() || too_large) refuse("a whole number", value);
  const auto number = value.get<std::int64_t>();
  if (text.least && number < *text.least) refuse(fmt::format("at least {}", *text.least), value);
  return number;
}

void check_word(const std::string& word, const FieldText& text) {
  if (text.least && static_cast<std::int64_t>(word.size()) < *text.least)
    throw FieldFault("must not be empty");
  if (text.words.empty()) return;
  const std::vector<std::string> known = split(text.words, ' ');
  if (std::find(known.begin(), known.end(), word) == known.end())
    throw FieldFault(fmt::format("is {}, which is not one of its values", Json(word).dump()));
}

Json number_type(const char* type, const FieldText& text) {
  Json json = {{"type", type}};
  if (text.least) json["minimum"] = *text.least;
  return json;
}

Json string_type(const FieldText& text) {
  if (!text.words.empty()) return {{"enum", split(text.words, ' ')}};
  Json json = {{"type", "string"}};
  if (text.least) json["minLength"] = *text.least;
  if (!text.pattern.empty()) json["pattern"] = text.pattern;
  return json;
}

Json nullable(Json type) {
  if (type.contains("enum"))
    type["enum"].push_back(nullptr);
  else
    type["type"] = {type["type"], "null"};
  return type;
}

Json described(Json type, const FieldText& text) {
  const auto add = [&](const char* key, std::string_view words) {
    if (!words.empty()) type[key] = words;
  };
  add("description", text.meaning);
  add("x-unit", text.unit);
  add("x-null", text.null);
  add("x-column", text.column);
  if (text.since > 1) type["x-since"] = text.since;
  return type;
}

}  // namespace tpbench::fields
