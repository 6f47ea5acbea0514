#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tpbench {

/// A closed list of named values: specialise with `static constexpr std::array<std::pair<E,
/// std::string_view>, N> table`. The names are those of the sweep file and of the record; nothing else spells
/// them.
template <typename E>
struct EnumNames;

template <typename E>
constexpr std::string_view name_of(E value) {
  for (const auto& [candidate, name] : EnumNames<E>::table) {
    if (candidate == value) return name;
  }
  return "?";
}

template <typename E>
constexpr std::optional<E> enum_from_name(std::string_view name) {
  for (const auto& [value, candidate] : EnumNames<E>::table) {
    if (candidate == name) return value;
  }
  return std::nullopt;
}

}  // namespace tpbench

/// Names the values of an enum once: TPBENCH_ENUM_NAMES(Order, {Order::random, "random"}, {Order::given,
/// "given"})
#define TPBENCH_ENUM_NAMES(Enum, ...)                                                              \
  template <>                                                                                      \
  struct tpbench::EnumNames<Enum> {                                                                \
    static constexpr auto table = std::to_array<std::pair<Enum, std::string_view>>({__VA_ARGS__}); \
  }
