#pragma once

#include <array>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "base/json.hpp"

namespace tpbench {

/// What a number is, so that whoever shows it knows how. Its unit is the one in the name; a renderer chooses
/// prefixes and digits.
enum class Kind {
  plain,          ///< words, whole numbers, true and false: as they are
  seconds,        ///< "3.51 ms"; with an interval "3.51 ms +-1.2%"
  seconds_brief,  ///< with an interval "3.51 ms +-1%"
  bytes,          ///< "1.34 GB"
  bytes_list,     ///< a list of them: "1.34 GB, 1.20 GB"
  message_bytes,  ///< "4 KiB": powers of two
  bytes_per_s,    ///< "1.34 GB/s", "118 MB/s"
  gigabytes,      ///< bytes per second too: "1.34 GB/s", "0.118 GB/s"
  flop,           ///< "131 kFLOP"
  hundredths,     ///< "0.88"
  three_digits,   ///< "1230", "0.123"
  ratio,          ///< as many digits as a difference needs: "1.02", "12.4", "173"
  interval,       ///< a list of two ratios: "0.99..1.02"
  share,          ///< "61 %"
  share_tenths,   ///< "61.3 %"
  small_share     ///< "1.3 %", "12 %"
};

/// One value of a report, before it is known where it goes.
struct Value {
  Json raw;  ///< a word, a number, true or false; null: there is none
  Kind kind = Kind::plain;
  std::optional<std::array<double, 2>> interval = {};  ///< of `raw`, in its unit

  Value() = default;
  /// Of anything that is JSON; an empty optional and a number that is not finite are null.
  template <typename T>
  requires(!std::is_same_v<std::remove_cvref_t<T>, Value>)
      Value(T&& value, Kind what = Kind::plain, std::optional<std::array<double, 2>> of_value = {})
      : raw(json_of(std::forward<T>(value))), kind(what), interval(of_value) {
    if (raw.is_number_float() && !std::isfinite(raw.get<double>())) raw = nullptr;
  }

  [[nodiscard]] bool is_missing() const { return raw.is_null(); }

 private:
  template <typename T>
  static Json json_of(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
  }
  template <typename T>
  static Json json_of(T&& value) {
    return Json(std::forward<T>(value));
  }
};

/// For people, in plain ASCII; "-" where there is none.
std::string text_of(const Value& value);

}  // namespace tpbench
