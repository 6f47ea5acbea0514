#pragma once

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "base/fields.hpp"
#include "result/record.hpp"

// The files under docs/ that the table of a record's keys gives; `cmake --build BUILD --target
// regenerate_docs` writes them, and a test holds them equal.
namespace tpbench::record_docs {

inline std::string read_file(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error(path + ": cannot be read");
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Objects that stand in several places are named once and referred to.
inline Json folded(const Json& type, Json& definitions) {
  if (!type.is_structured()) return type;
  Json result = type.is_array() ? Json::array() : Json::object();
  for (const auto& entry : type.items()) {
    if (type.is_array())
      result.push_back(folded(entry.value(), definitions));
    else
      result[entry.key()] = folded(entry.value(), definitions);
  }
  if (!result.is_object() || !result.contains("x-name")) return result;
  const std::string name = result.at("x-name");
  Json reference = {{"$ref", "#/definitions/" + name}}, place;
  const bool may_be_null = result.at("type").is_array();
  if (may_be_null)
    place["anyOf"] = {{{"type", "null"}}, reference};
  else
    place["allOf"] = Json::array({reference});
  for (const char* key : {"description", "x-null", "x-unit", "x-since"}) {
    if (result.contains(key)) place[key] = result.at(key);
    result.erase(key);
  }
  result["type"] = "object";
  result.erase("x-name");
  definitions[name] = result;
  return place;
}

/// docs/record.schema.json. What the status of a case decides of its keys (`allOf`) is written by hand there.
inline Json schema(const Json& present) {
  Json definitions = Json::object();
  const Json type = folded(object_type(record_fields()), definitions);
  Json required = type.at("required"), names = Json::array();
  required.insert(required.begin(), "schema");
  for (int number = 1; number <= kRecordSchema; ++number)
    names.push_back("tpbench.record/" + std::to_string(number));
  Json properties = {{"schema", {{"enum", names}, {"description", "see docs/record.md, \"Versions\""}}}};
  properties.update(type.at("properties"));
  return {{"$schema", "http://json-schema.org/draft-07/schema#"},
          {"title", "tpbench record"},
          {"description",
           "The result of one case (docs/record.md). Generated from the table of its keys, but for allOf. "
           "x-unit, x-null "
           "(when it is null), x-since (the schema that brought it) and x-column (of summary.csv) are for "
           "people and "
           "programs; validators ignore them."},
          {"type", "object"},
          {"required", required},
          {"properties", properties},
          {"allOf", present.at("allOf")},
          {"definitions", definitions}};
}

// What fits on a line stands on one.
inline std::string pretty(const Json& value, std::size_t indent = 0) {
  if (!value.is_structured() || value.empty()) return value.dump();
  const auto items = [&](const std::string& separator, std::size_t inner) {
    std::string text;
    for (const auto& entry : value.items()) {
      const std::string key = value.is_object() ? Json(entry.key()).dump() + ": " : "";
      text += (text.empty() ? "" : separator) + key + pretty(entry.value(), inner);
    }
    return text;
  };
  const char *open = value.is_object() ? "{" : "[", *close = value.is_object() ? "}" : "]";
  const std::string line = open + items(", ", 1000) + close;
  constexpr std::size_t kWidth = 110;
  if (indent >= 1000 || indent + line.size() <= kWidth) return line;
  const std::string margin = "\n" + std::string(indent + 2, ' ');
  return open + margin + items("," + margin, indent + 2) + "\n" + std::string(indent, ' ') + close;
}

inline std::string values_of(const Json& type) {
  if (type.contains("enum")) {
    std::string text;
    for (const Json& value : type.at("enum")) {
      if (value.is_string()) text += (text.empty() ? "`" : ", `") + value.get<std::string>() + "`";
    }
    return text;
  }
  if (type.contains("items") && !type.contains("x-unit")) return values_of(type.at("items"));
  if (type.value("type", Json()) == "boolean") return "true, false";
  if (type.contains("anyOf") || type.contains("allOf")) {
    const std::string place =
        type.contains("anyOf") ? type.at("anyOf")[1].at("$ref") : type.at("allOf")[0].at("$ref");
    return "a " + place.substr(place.rfind('/') + 1);
  }
  return type.value("x-unit", "");
}

inline void add_rows(std::string& text, const Json& type, const std::string& prefix) {
  for (const auto& entry : type.at("properties").items()) {
    const Json& value = entry.value();
    const std::string path = prefix + entry.key();
    std::string meaning = value.value("description", "");
    if (value.contains("x-since")) meaning += " (since schema " + value.at("x-since").dump() + ")";
    if (!meaning.empty())
      text += "| `" + path + "` | " + values_of(value) + " | " + meaning + " | " + value.value("x-null", "") +
              " |\n";
    if (value.contains("properties")) add_rows(text, value, path + ".");
    if (value.contains("items") && value.at("items").contains("properties"))
      add_rows(text, value.at("items"), path + "[].");
  }
}

inline const std::string kBegin =
    "<!-- The tables down to the next mark are generated: target regenerate_docs -->\n";
inline const std::string kEnd = "<!-- End of what is generated -->\n";

/// docs/record.md with its reference made anew; `present` is the page as it is.
inline std::string page(const std::string& present, const Json& schema) {
  const std::string head = "| key | unit or values | meaning | null or empty when |\n|---|---|---|---|\n";
  std::string tables = head;
  add_rows(tables, schema, "");
  for (const auto& entry : schema.at("definitions").items()) {
    tables += "\nKeys of a " + entry.key() + ":\n\n" + head;
    add_rows(tables, entry.value(), "");
  }
  const std::size_t begin = present.find(kBegin), end = present.find(kEnd);
  if (begin == std::string::npos || end == std::string::npos)
    throw std::runtime_error("docs/record.md: the marks are gone");
  return present.substr(0, begin) + kBegin + "\n" + tables + "\n" + present.substr(end);
}

}  // namespace tpbench::record_docs
