#pragma once

// The one doorway to nlohmann/json. Keys keep the order in which they were written, so that a record reads as
// it was meant to and two dumps of the same data are the same bytes.
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json_fwd.hpp"

namespace tpbench {

/// Numbers that do not exist are null, never 0 or NaN.
template <typename T>
Json json_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

/// The inverse of `json_or_null`: empty when `key` is absent or null.
template <typename T>
std::optional<T> optional_from(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->get<T>();
}

}  // namespace tpbench
