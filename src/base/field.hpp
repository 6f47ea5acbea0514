#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/json_fwd.hpp"

namespace tpbench {

/// What a row says of its key in words and rules; the C++ type says the rest.
struct FieldText {
  std::string_view meaning = {};
  std::string_view unit = {};    ///< "s", "bytes"; empty for words and plain numbers
  std::string_view null = {};    ///< when it is null, or a list is empty
  std::string_view column = {};  ///< of summary.csv (report/csv.cpp); empty: none
  std::optional<std::int64_t> least =
      {};                         ///< of a number, or the length of a string; of each element of a list
  std::string_view pattern = {};  ///< of a string, for the schema; reading does not ask for it
  std::string_view words = {};    ///< the values of a string that is no enum here: "host staged device"
  int since = 1;                  ///< the schema that brought it; where it is absent its default holds
};

/// One key of the JSON object that an `Owner` is written as. The rows are made in base/fields.hpp.
template <typename Owner>
struct Field {
  std::string_view key;
  FieldText text;
  std::function<Json(const Owner&)> get;
  std::function<void(Owner&, const Json&)> set;  ///< empty: it follows from other keys and is not read
  std::function<Json()> type;                    ///< JSON Schema of the value, without `text`
};

/// What is wrong with a document, and where; what() is "POINTER: RULE".
struct FieldFault : std::runtime_error {
  explicit FieldFault(const std::string& what_rule, const std::string& where = "")
      : std::runtime_error(where.empty() ? what_rule : where + ": " + what_rule),
        pointer(where),
        rule(what_rule) {}

  std::string pointer;  ///< grows on the way out of nested objects
  std::string rule;
};

/// The table of an object; a struct that is a value of a key has one. `definition_of` names it in the schema
/// where it stands in several places.
template <typename Owner>
std::span<const Field<Owner>> fields_of();
template <typename Owner>
constexpr const char* definition_of = nullptr;

}  // namespace tpbench
