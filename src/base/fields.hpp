#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/enum_names.hpp"
#include "base/field.hpp"
#include "base/json.hpp"

/// Objects of a JSON document, each described once by a table of its keys: writing, reading, the JSON Schema
/// and the columns of a csv come from the same rows. The C++ type of a member says what JSON it is and
/// whether it may be null; a row says the rest.
namespace tpbench {

namespace fields {

template <typename T>
constexpr bool is_optional = false;
template <typename T>
constexpr bool is_optional<std::optional<T>> = true;
template <typename T>
constexpr bool is_pair = false;
template <typename T>
constexpr bool is_pair<std::array<T, 2>> = true;
template <typename T>
constexpr bool is_list = is_pair<T>;
template <typename T>
constexpr bool is_list<std::vector<T>> = true;
template <typename T>
constexpr bool is_map = false;
template <typename T>
constexpr bool is_map<std::map<std::string, T>> = true;

[[noreturn]] void refuse(std::string_view must_be, const Json& value);
std::int64_t integer_of(const Json& value, const FieldText& text);
void check_word(const std::string& word, const FieldText& text);
Json number_type(const char* type, const FieldText& text);
Json string_type(const FieldText& text);
Json nullable(Json type);
/// The type with what its row says of it.
Json described(Json type, const FieldText& text);

/// Runs `read`, whose faults become faults below `step`.
template <typename Read>
auto below(std::string_view step, Read&& read) {
  try {
    return read();
  } catch (const FieldFault& fault) {
    throw FieldFault(fault.rule, "/" + std::string(step) + fault.pointer);
  }
}

}  // namespace fields

/// `Rows` is a range of Field<Owner>, or of what is one.
template <typename Rows, typename Owner>
Json write_object(const Rows& rows, const Owner& owner) {
  Json object = Json::object();
  for (const Field<Owner>& row : rows)
    object[std::string(row.key)] = fields::below(row.key, [&] { return row.get(owner); });
  return object;
}

/// Throws FieldFault. Keys that no row knows are left alone: a later version wrote them.
template <typename Rows, typename Owner>
void read_object(const Rows& rows, const Json& object, Owner& owner) {
  if (!object.is_object()) fields::refuse("an object", object);
  for (const Field<Owner>& row : rows) {
    if (!row.set) continue;
    fields::below(row.key, [&] {
      const auto found = object.find(row.key);
      if (found != object.end()) return row.set(owner, *found);
      if (row.text.since == 1) throw FieldFault("is missing");
    });
  }
}

/// Keys of later schemas may be absent, and others may be there: what `read_object` takes.
template <typename Rows>
Json object_type(const Rows& rows) {
  Json required = Json::array(), properties = Json::object();
  for (const auto& row : rows) {
    if (row.text.since == 1) required.push_back(row.key);
    properties[std::string(row.key)] = fields::described(row.type(), row.text);
  }
  return {{"type", "object"}, {"required", std::move(required)}, {"properties", std::move(properties)}};
}

/// Throws FieldFault for a number that is not finite, where it may not be null.
template <typename T>
Json write_value(const T& value) {
  if constexpr (fields::is_optional<T>) {
    if constexpr (std::is_floating_point_v<typename T::value_type>) {
      if (value && !std::isfinite(*value)) return nullptr;
    }
    return value ? write_value(*value) : Json(nullptr);
  } else if constexpr (fields::is_list<T>) {
    Json list = Json::array();
    for (const auto& element : value) list.push_back(write_value(element));
    return list;
  } else if constexpr (fields::is_map<T>) {
    Json object = Json::object();
    for (const auto& [key, element] : value) {
      object[key] = fields::below(key, [&, &member = element] { return write_value(member); });
    }
    return object;
  } else if constexpr (std::is_enum_v<T>) {
    return std::string(name_of(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) throw FieldFault("is not a finite number");
    return value;
  } else if constexpr (std::is_integral_v<T> || std::is_same_v<T, std::string>) {
    return value;
  } else {
    return write_object(fields_of<T>(), value);
  }
}

/// Strict: 1 is not true, 1.5 is not 1, "1" is no number. Throws FieldFault.
template <typename T>
void read_value(const Json& json, T& value, const FieldText& text) {
  if constexpr (fields::is_optional<T>) {
    if (json.is_null()) return value.reset();
    read_value(json, value.emplace(), text);
  } else if constexpr (fields::is_list<T>) {
    if (!json.is_array()) fields::refuse("a list", json);
    if constexpr (fields::is_pair<T>) {
      if (json.size() != value.size()) fields::refuse("a list of two", json);
    } else {
      value.resize(json.size());
    }
    for (std::size_t i = 0; i < json.size(); ++i)
      fields::below(std::to_string(i), [&] { read_value(json[i], value[i], text); });
  } else if constexpr (fields::is_map<T>) {
    if (!json.is_object()) fields::refuse("an object", json);
    value.clear();
    for (const auto& entry : json.items())
      fields::below(entry.key(), [&] { read_value(entry.value(), value[entry.key()], text); });
  } else if constexpr (std::is_enum_v<T>) {
    if (!json.is_string()) fields::refuse("a string", json);
    const auto known = enum_from_name<T>(json.get_ref<const std::string&>());
    if (!known) throw FieldFault("is " + json.dump() + ", which is not one of its values");
    value = *known;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!json.is_boolean()) fields::refuse("true or false", json);
    value = json.get<bool>();
  } else if constexpr (std::is_integral_v<T>) {
    value = static_cast<T>(fields::integer_of(json, text));
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!json.is_number()) fields::refuse("a number", json);
    value = json.get<double>();
    if (text.least && value < static_cast<double>(*text.least))
      fields::refuse("at least " + std::to_string(*text.least), json);
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!json.is_string()) fields::refuse("a string", json);
    value = json.get<std::string>();
    fields::check_word(value, text);
  } else {
    read_object(fields_of<T>(), json, value);
  }
}

/// JSON Schema (draft 7).
template <typename T>
Json type_of(const FieldText& text) {
  if constexpr (fields::is_optional<T>) {
    return fields::nullable(type_of<typename T::value_type>(text));
  } else if constexpr (fields::is_list<T>) {
    Json type = {{"type", "array"}, {"items", type_of<typename T::value_type>(text)}};
    if constexpr (fields::is_pair<T>) type["minItems"] = type["maxItems"] = 2;
    return type;
  } else if constexpr (fields::is_map<T>) {
    return {{"type", "object"}, {"additionalProperties", type_of<typename T::mapped_type>(text)}};
  } else if constexpr (std::is_enum_v<T>) {
    Json names = Json::array();
    for (const auto& [value, name] : EnumNames<T>::table) names.push_back(name);
    return {{"enum", std::move(names)}};
  } else if constexpr (std::is_same_v<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (std::is_integral_v<T>) {
    return fields::number_type("integer", text);
  } else if constexpr (std::is_floating_point_v<T>) {
    return fields::number_type("number", text);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return fields::string_type(text);
  } else {
    Json type = object_type(fields_of<T>());
    if (definition_of<T> != nullptr) type["x-name"] = definition_of<T>;
    return type;
  }
}

/// A row for a member, whatever its type.
template <typename Owner, typename T>
Field<Owner> field(std::string_view key, T Owner::*member, const FieldText& text) {
  return {key, text, [member](const Owner& owner) { return write_value(owner.*member); },
          [member, text](Owner& owner, const Json& json) { read_value(json, owner.*member, text); },
          [text] { return type_of<T>(text); }};
}

/// A row of a member's own keys as one of `Owner`.
template <typename Owner, typename Inner>
Field<Owner> within(Inner Owner::*outer, const Field<Inner>& row) {
  return {row.key, row.text, [=, get = row.get](const Owner& owner) { return get(owner.*outer); },
          [=, set = row.set](Owner& owner, const Json& json) { set(owner.*outer, json); }, row.type};
}

/// A row that follows from others.
template <typename Owner, typename T>
Field<Owner> derived(std::string_view key, T (Owner::*value)() const, const FieldText& text) {
  return {key,
          text,
          [value](const Owner& owner) { return write_value((owner.*value)()); },
          {},
          [text] { return type_of<T>(text); }};
}

/// A row for an object whose keys are members of `Owner` itself.
template <typename Owner>
Field<Owner> group(std::string_view key, std::vector<Field<Owner>> table, const FieldText& text = {}) {
  const auto shared = std::make_shared<const std::vector<Field<Owner>>>(std::move(table));
  return {key, text, [shared](const Owner& owner) { return write_object(*shared, owner); },
          [shared](Owner& owner, const Json& json) { read_object(*shared, json, owner); },
          [shared] { return object_type(*shared); }};
}

}  // namespace tpbench
