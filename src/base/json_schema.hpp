#pragma once

#include <string>
#include <vector>

#include "base/json.hpp"

namespace tpbench {

/// One place where a document breaks its schema, as the validator saw it.
struct SchemaFault {
  std::string pointer;      ///< JSON pointer to the offending value ("" is the document itself)
  std::string description;  ///< the validator's own words; callers who know the schema can say it better
};

/// Validates `document` against a JSON Schema (draft 7). Returns every fault, deepest place first known;
/// empty means valid. Types are strict: "4" is not a number. Throws std::invalid_argument on a broken schema.
std::vector<SchemaFault> validate_with_schema(const Json& schema, const Json& document);

}  // namespace tpbench
