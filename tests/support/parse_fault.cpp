#include <fmt/format.h>

#include <charconv>
#include <stdexcept>
#include <string>

#include "base/text.hpp"
#include "faulty_parts.hpp"

namespace tpbench::test {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view word) {
  throw std::invalid_argument(fmt::format("\"{}\" is no fault: {} is not known", text, word));
}

std::int64_t to_number(std::string_view text, const std::string& word) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) refuse(text, word);
  return value;
}

template <typename E>
E to_enum(std::string_view text, const std::string& word) {
  const auto value = enum_from_name<E>(word);
  if (!value) refuse(text, word);
  return *value;
}

}  // namespace

InjectedFault parse_fault(std::string_view text) {
  const std::vector<std::string> words = split(text, ':');
  InjectedFault fault;
  fault.kind = to_enum<FaultKind>(text, words.front());
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::vector<std::string> pair = split(words[i], '=');
    if (pair.size() != 2) refuse(text, words[i]);
    const std::string &key = pair[0], &value = pair[1];
    if (key == "rank")
      fault.rank = static_cast<long>(to_number(text, value));
    else if (key == "case")
      fault.case_number = to_number(text, value);
    else if (key == "step")
      fault.step = to_number(text, value);
    else if (key == "ms")
      fault.milliseconds = to_number(text, value);
    else if (key == "percent")
      fault.percent = to_number(text, value);
    else if (key == "element")
      fault.element = to_number(text, value);
    else if (key == "at")
      fault.place = to_enum<FaultPlace>(text, value);
    else if (key == "what")
      fault.error = to_enum<FaultError>(text, value);
    else
      refuse(text, key);
  }
  return fault;
}

}  // namespace tpbench::test
