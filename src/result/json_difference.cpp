#include "result/json_difference.hpp"

#include "base/json.hpp"

namespace tpbench {
namespace {

bool equal(const Json& first, const Json& second);

// A value for people: text that is not UTF-8 gets a mark instead of an exception.
std::string text_of(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

void collect(const Json& first, const Json& second, const std::string& pointer,
             std::vector<JsonDifference>& found) {
  if (!first.is_object() || !second.is_object()) {
    if (!equal(first, second)) found.push_back({pointer, text_of(first), text_of(second)});
    return;
  }
  for (const auto& [key, value] : first.items()) {
    const auto other = second.find(key);
    if (other == second.end())
      found.push_back({pointer + '/' + key, text_of(value), "absent"});
    else
      collect(value, *other, pointer + '/' + key, found);
  }
  for (const auto& [key, value] : second.items()) {
    if (!first.contains(key)) found.push_back({pointer + '/' + key, "absent", text_of(value)});
  }
}

// Json's own comparison counts the order of keys.
bool equal(const Json& first, const Json& second) {
  if (first.is_object() && second.is_object()) return differences(first, second).empty();
  if (!first.is_array() || !second.is_array()) return first == second;
  if (first.size() != second.size()) return false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (!equal(first[i], second[i])) return false;
  }
  return true;
}

}  // namespace

std::vector<JsonDifference> differences(const Json& first, const Json& second) {
  std::vector<JsonDifference> found;
  collect(first, second, "", found);
  return found;
}

}  // namespace tpbench
