#include "base/json_schema.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/json.hpp"

namespace tpbench {
namespace {

const Json kSchema = Json::parse(R"({
  "type": "object", "required": ["a"], "additionalProperties": false,
  "properties": {"a": {"type": "integer", "minimum": 1}, "b/~": {"type": "array", "items": {"type": "string"}}}
})");

bool has_pointer(const std::vector<SchemaFault>& faults, const std::string& pointer) {
  for (const SchemaFault& fault : faults) {
    if (fault.pointer == pointer) return true;
  }
  return false;
}

TEST(JsonSchema, FindsNothingInAValidDocument) {
  EXPECT_TRUE(validate_with_schema(kSchema, Json::parse(R"({"a": 3, "b/~": ["x"]})")).empty());
}

TEST(JsonSchema, PointsAtTheValue) {
  EXPECT_TRUE(has_pointer(validate_with_schema(kSchema, Json::parse(R"({"a": 0})")), "/a"));
  EXPECT_TRUE(has_pointer(validate_with_schema(kSchema, Json::parse("{}")), ""));
}

TEST(JsonSchema, EscapesPointers) {
  EXPECT_TRUE(
      has_pointer(validate_with_schema(kSchema, Json::parse(R"({"a": 1, "b/~": ["x", 2]})")), "/b~1~0/1"));
}

TEST(JsonSchema, IsStrictAboutTypes) {
  EXPECT_FALSE(validate_with_schema(kSchema, Json::parse(R"({"a": "1"})")).empty());
  EXPECT_FALSE(validate_with_schema(kSchema, Json::parse(R"({"a": 1.5})")).empty());
  EXPECT_FALSE(validate_with_schema(kSchema, Json::parse(R"({"a": true})")).empty());
  EXPECT_FALSE(validate_with_schema(kSchema, Json::parse(R"({"a": null})")).empty());
}

TEST(JsonSchema, ReportsEveryFault) {
  const auto faults = validate_with_schema(kSchema, Json::parse(R"({"a": -1, "b/~": [1, "x", 2], "c": 1})"));
  EXPECT_TRUE(has_pointer(faults, "/a"));
  EXPECT_TRUE(has_pointer(faults, "/b~1~0/0"));
  EXPECT_TRUE(has_pointer(faults, "/b~1~0/2"));
}

TEST(JsonSchema, RefusesABrokenSchema) {
  EXPECT_THROW(validate_with_schema(Json::parse(R"({"type": 7})"), Json::object()), std::invalid_argument);
}

TEST(Json, MakesWhatDoesNotExistNull) {
  EXPECT_EQ(json_or_null(std::optional<int>()), Json(nullptr));
  EXPECT_EQ(json_or_null(std::optional<int>(3)), Json(3));
  const Json object = {{"a", 1}, {"b", nullptr}};
  EXPECT_EQ(optional_from<int>(object, "a"), 1);
  EXPECT_EQ(optional_from<int>(object, "b"), std::nullopt);
  EXPECT_EQ(optional_from<int>(object, "c"), std::nullopt);
}

TEST(Json, KeepsTheOrderOfKeys) { EXPECT_EQ(Json::parse(R"({"z": 1, "a": 2})").dump(), R"({"z":1,"a":2})"); }

}  // namespace
}  // namespace tpbench
