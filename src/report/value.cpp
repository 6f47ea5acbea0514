#include "report/value.hpp"

#include <fmt/format.h>

#include "base/units.hpp"
#include "result/summary_text.hpp"

namespace tpbench {
namespace {

std::string brief_text(const Value& value, double median) {
  const std::string text = format_seconds(median);
  if (!value.interval || median <= 0) return text;
  return fmt::format("{} +-{:.0f}%", text, 100 * ((*value.interval)[1] - (*value.interval)[0]) / 2 / median);
}

std::string ratio_text(double ratio) {
  return ratio < 9.995 ? fmt::format("{:.2f}", ratio) : fmt::format("{:.{}f}", ratio, ratio < 99.95 ? 1 : 0);
}

std::string message_bytes_text(std::int64_t bytes) {
  constexpr std::pair<std::int64_t, const char*> kUnits[] = {
      {std::int64_t{1} << 30, "GiB"}, {std::int64_t{1} << 20, "MiB"}, {std::int64_t{1} << 10, "KiB"}};
  for (const auto& [unit, name] : kUnits) {
    if (bytes % unit == 0) return fmt::format("{} {}", bytes / unit, name);
  }
  return fmt::format("{} B", bytes);
}

std::string number_text(const Value& value, double number) {
  switch (value.kind) {
    case Kind::seconds:
      return median_text({.median = number, .ci95 = value.interval});
    case Kind::seconds_brief:
      return brief_text(value, number);
    case Kind::bytes:
      return format_bytes(number);
    case Kind::message_bytes:
      return message_bytes_text(value.raw.get<std::int64_t>());
    case Kind::bytes_per_s:
      return format_bytes(number) + "/s";
    case Kind::gigabytes:
      return fmt::format("{:.3g} GB/s", number * 1e-9);
    case Kind::flop: {
      const std::string text = format_bytes(number);  // the same prefixes
      return text.substr(0, text.size() - 1) + "FLOP";
    }
    case Kind::hundredths:
      return fmt::format("{:.2f}", number);
    case Kind::three_digits:
      return number < 1000 ? fmt::format("{:.3g}", number) : fmt::format("{:.0f}", number);
    case Kind::ratio:
      return ratio_text(number);
    case Kind::share:
      return format_percent(number);
    case Kind::share_tenths:
      return fmt::format("{:.1f} %", 100 * number);
    case Kind::small_share:
      return fmt::format("{:.{}f} %", number * 100, number < 0.0995 ? 1 : 0);
    case Kind::plain:
    case Kind::bytes_list:
    case Kind::interval:
      return value.raw.dump();
  }
  return "";
}

}  // namespace

std::string text_of(const Value& value) {
  if (value.is_missing()) return "-";
  if (value.raw.is_string()) return value.raw.get<std::string>();
  if (value.kind == Kind::interval)
    return ratio_text(value.raw.at(0).get<double>()) + ".." + ratio_text(value.raw.at(1).get<double>());
  if (value.kind == Kind::bytes_list) {
    std::string text;
    for (const Json& bytes : value.raw)
      text += (text.empty() ? "" : ", ") + format_bytes(bytes.get<double>());
    return text;
  }
  return value.raw.is_number() ? number_text(value, value.raw.get<double>()) : value.raw.dump();
}

}  // namespace tpbench
