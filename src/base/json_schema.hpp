#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.hpp"

namespace tpbench {

/// One place where a document breaks its schema, as the validator saw it.
struct SchemaFault {
  std::string pointer;      ///< JSON pointer to the offending value ("" is the document itself)
  std::string description;  ///< the validator's own words; callers who know the schema can say it better
};

/// A JSON Schema (draft 7), made ready once for as many documents as there are: that takes far longer than to
/// validate one.
class JsonSchema {
 public:
  /// Throws std::invalid_argument on a broken schema.
  explicit JsonSchema(const Json& schema);
  ~JsonSchema();
  JsonSchema(JsonSchema&&) noexcept;

  /// Every fault, deepest place first known; empty means valid. Types are strict: "4" is not a number.
  [[nodiscard]] std::vector<SchemaFault> validate(const Json& document) const;

 private:
  struct Ready;
  std::unique_ptr<Ready> ready_;
};

/// One document by one schema.
std::vector<SchemaFault> validate_with_schema(const Json& schema, const Json& document);

}  // namespace tpbench
