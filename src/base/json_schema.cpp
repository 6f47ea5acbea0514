#include "base/json_schema.hpp"

#include <stdexcept>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "base/json.hpp"

namespace tpbench {
namespace {

// valijson writes a place as {"<root>", "[key]", "[3]"}; a JSON pointer is "/key/3" with ~ and / escaped.
std::string pointer_of(const std::vector<std::string>& context) {
  std::string pointer;
  for (std::size_t i = 1; i < context.size(); ++i) {
    const std::string& step = context[i];
    pointer += '/';
    for (const char c : step.substr(1, step.size() - 2)) {
      if (c == '~')
        pointer += "~0";
      else if (c == '/')
        pointer += "~1";
      else
        pointer += c;
    }
  }
  return pointer;
}

}  // namespace

// valijson's adapter takes nlohmann's unordered json.
struct JsonSchema::Ready {
  nlohmann::json source;
  valijson::Schema compiled;
};

JsonSchema::JsonSchema(const Json& schema) : ready_(std::make_unique<Ready>()) {
  ready_->source = nlohmann::json::parse(schema.dump());
  valijson::SchemaParser parser;
  try {
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(ready_->source), ready_->compiled);
  } catch (const std::exception& error) {
    throw std::invalid_argument(std::string("broken JSON schema: ") + error.what());
  }
}

JsonSchema::~JsonSchema() = default;
JsonSchema::JsonSchema(JsonSchema&&) noexcept = default;

std::vector<SchemaFault> JsonSchema::validate(const Json& document) const {
  const nlohmann::json unordered = nlohmann::json::parse(document.dump());
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  valijson::ValidationResults results;
  std::vector<SchemaFault> faults;
  if (validator.validate(ready_->compiled, valijson::adapters::NlohmannJsonAdapter(unordered), &results))
    return faults;
  for (valijson::ValidationResults::Error error; results.popError(error);) {
    faults.push_back({pointer_of(error.context), error.description});
  }
  return faults;
}

std::vector<SchemaFault> validate_with_schema(const Json& schema, const Json& document) {
  return JsonSchema(schema).validate(document);
}

}  // namespace tpbench
