#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/enum_names.hpp"
#include "base/text.hpp"

// Words of the command line as values. What is wrong is a CLI::ValidationError that names option, value and
// rule.
namespace tpbench {

template <typename E>
E named(const std::string& name, const std::string& option) {
  if (const auto value = enum_from_name<E>(name)) return *value;
  std::vector<std::string> names;
  for (const auto& [value, known] : EnumNames<E>::table) names.emplace_back(known);
  throw CLI::ValidationError(option, name + ": must be " + join_words(names, " or "));
}

/// The whole text as a number; nothing when any of it is something else.
template <typename Number>
std::optional<Number> number_from(const std::string& text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "1048576", "64KiB" or "16 MB" in bytes.
std::optional<std::int64_t> size_from(const std::string& text);

/// Adds `--memory-per-rank SIZE`.
void add_memory_option(CLI::App& app, std::optional<std::int64_t>& bytes, const char* what);

}  // namespace tpbench
