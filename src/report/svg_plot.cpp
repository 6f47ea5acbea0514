#include "report/svg_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"
#include "report/svg.hpp"

namespace tpbench::svg {
namespace {

// 1, 2 or 5 times a power of ten, at or above `value`.
double round_step(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= value * 0.999) return factor * power;
  }
  return 10 * power;
}

std::vector<double> linear_ticks(double low, double high) {
  const double step = round_step((high - low) / 5);
  std::vector<double> ticks;
  for (double tick = std::ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step)
    ticks.push_back(std::abs(tick) < step * 1e-9 ? 0 : tick);
  return ticks;
}

// Powers of ten, with 2 and 5 between them where that leaves room.
std::vector<double> logarithmic_ticks(double low, double high) {
  const double decades = std::log10(high / low);
  const std::vector<double> factors = decades <= 1.5   ? std::vector<double>{1, 2, 3, 5, 7}
                                      : decades <= 3.2 ? std::vector<double>{1, 2, 5}
                                                       : std::vector<double>{1};
  const int every = std::max(1, static_cast<int>(std::ceil(decades / 7)));
  std::vector<double> ticks;
  for (int power = static_cast<int>(std::floor(std::log10(low))); power <= std::ceil(std::log10(high));
       ++power) {
    if (factors.size() == 1 && power % every != 0) continue;
    for (const double factor : factors) {
      const double tick = factor * std::pow(10.0, power);
      if (tick >= low * 0.9999 && tick <= high * 1.0001) ticks.push_back(tick);
    }
  }
  constexpr std::size_t kFewest = 3;
  return ticks.size() < kFewest ? linear_ticks(low, high) : ticks;
}

std::string short_number(double value) { return fmt::format("{:.3g}", value); }

struct Prefix {
  double factor;
  const char* unit;
};

std::string with_unit(double value, std::span<const Prefix> prefixes) {
  for (const Prefix& prefix : prefixes) {
    if (std::abs(value) >= prefix.factor * 0.9995)
      return short_number(value / prefix.factor) + ' ' + prefix.unit;
  }
  return short_number(value / prefixes.back().factor) + ' ' + prefixes.back().unit;
}

}  // namespace

const char* part_colour(std::size_t part) {
  constexpr const char* kParts[] = {"#0072b2", "#e69f00", "#a9a9a9", "#cc79a7",
                                    "#009e73", "#56b4e9", "#d55e00", "#b8a800"};
  return kParts[part % std::size(kParts)];
}

std::string number(double value) {
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string tick_text(Kind kind, double value) {
  constexpr Prefix kSeconds[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
  constexpr Prefix kBytes[] = {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}};
  constexpr Prefix kMessages[] = {{1073741824, "GiB"}, {1048576, "MiB"}, {1024, "KiB"}, {1, "B"}};
  if (value == 0) return "0";
  switch (kind) {
    case Kind::seconds:
    case Kind::seconds_brief:
      return with_unit(value, kSeconds);
    case Kind::bytes:
      return with_unit(value, kBytes);
    case Kind::message_bytes:
      return with_unit(value, kMessages);
    default:
      return short_number(value);
  }
}

std::string full_text(Kind kind, double value) {
  if (kind == Kind::message_bytes) return tick_text(kind, value);
  return text_of(Value(value, kind));
}

Axis::Axis(const Scale& scale, const std::vector<double>& values, double from, double to, bool from_zero)
    : is_logarithmic_(scale.is_logarithmic), from_(from), to_(to) {
  std::vector<double> usable;
  for (const double value : values) {
    if (std::isfinite(value) && (!is_logarithmic_ || value > 0)) usable.push_back(value);
  }
  if (usable.empty()) usable = {1};
  low_ = *std::min_element(usable.begin(), usable.end());
  high_ = *std::max_element(usable.begin(), usable.end());
  if (from_zero) low_ = std::min(low_, 0.0);
  if (is_logarithmic_) {
    const double room = std::max(0.04 * std::log(high_ / low_), high_ == low_ ? std::log(1.5) : 0.0);
    low_ *= std::exp(-room);
    high_ *= std::exp(room);
  } else {
    const double room = high_ == low_ ? std::max(std::abs(high_), 1e-12) : high_ - low_;
    high_ += 0.06 * room;
    if (!from_zero) low_ -= 0.06 * room;
  }
  ticks_ = !scale.ticks.empty() ? scale.ticks
           : is_logarithmic_    ? logarithmic_ticks(low_, high_)
                                : linear_ticks(low_, high_);
}

double Axis::at(double value) const {
  const double share = is_logarithmic_
                           ? std::log(std::max(value, low_ * 1e-3) / low_) / std::log(high_ / low_)
                           : (value - low_) / (high_ - low_);
  return from_ + share * (to_ - from_);
}

std::string Axis::transform() const {
  return fmt::format("{} {:.9g} {:.9g} {} {}", is_logarithmic_ ? "log" : "linear", low_, high_, number(from_),
                     number(to_));
}

std::string text_at(double x, double y, const char* anchor, std::string_view text, std::string_view more) {
  return fmt::format("<text class=\"t\" x=\"{}\" y=\"{}\" text-anchor=\"{}\"{}>{}</text>", number(x),
                     number(y), anchor, more, escaped_html(text));
}

std::string draw_y(const Axis& axis, const Scale& scale) {
  std::string grid, texts;
  double last = 1e9;
  for (const double tick : axis.ticks()) {
    const double y = axis.at(tick);
    if (y < kTop - 1 || y > kBottom + 1) continue;
    grid += fmt::format("M{} {}H{}", number(kLeft), number(y), number(kRight));
    if (last - y < 12) continue;  // no room for its words
    texts += text_at(kLeft - 6, y + 4, "end", tick_text(scale.kind, tick));
    last = y;
  }
  std::string text =
      fmt::format("<path class=\"g\" d=\"{}\" stroke=\"#dddddd\" fill=\"none\"/>", grid) + texts;
  return text + fmt::format(
                    "<text class=\"t\" x=\"14\" y=\"{0}\" text-anchor=\"middle\" "
                    "transform=\"rotate(-90 14 {0})\">{1}</text>",
                    number((kTop + kBottom) / 2), escaped_html(scale.title));
}

std::string draw_x(const Axis& axis, const Scale& scale) {
  std::string text =
      fmt::format("<path class=\"a\" d=\"M{} {}H{}", number(kLeft), number(kBottom), number(kRight));
  std::string labels;
  double last = -1e9;
  for (const double tick : axis.ticks()) {
    const double x = axis.at(tick);
    text += fmt::format("M{} {}v4", number(x), number(kBottom));
    const std::string words = tick_text(scale.kind, tick);
    const double half = 3.4 * static_cast<double>(words.size());
    if (x - half < last + 4) continue;
    labels += text_at(x, kBottom + 18, "middle", words);
    last = x + half;
  }
  return text + "\" stroke=\"#555555\" fill=\"none\"/>" + labels + draw_x_title(scale.title);
}

std::string draw_x_title(const std::string& title) {
  return text_at((kLeft + kRight) / 2, kBottom + 38, "middle", title);
}

std::string draw_mark(std::size_t look, double x, double y, const std::string& title) {
  const std::size_t colour = look % kLooks;
  std::string shape;
  switch (look % 4) {
    case 0:
      shape = fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"4\"", number(x), number(y));
      break;
    case 1:
      shape = fmt::format("<path d=\"M{} {}h7v7h-7z\"", number(x - 3.5), number(y - 3.5));
      break;
    case 2:
      shape = fmt::format("<path d=\"M{} {}l4.5 8h-9z\"", number(x), number(y - 5));
      break;
    default:
      shape = fmt::format("<path d=\"M{} {}l4.8 4.8l-4.8 4.8l-4.8 -4.8z\"", number(x), number(y - 4.8));
  }
  return fmt::format("{} class=\"m c{}\" fill=\"{}\" data-at=\"{} {}\"><title>{}</title></{}>", shape, colour,
                     kColours[colour], number(x), number(y), escaped_html(title),
                     look % 4 == 0 ? "circle" : "path");
}

std::string dashes_of(Curve::Line line) {
  if (line == Curve::Line::dashed) return " stroke-dasharray=\"6 4\"";
  return line == Curve::Line::dotted ? " stroke-dasharray=\"2 3\"" : "";
}

std::string swatch(std::string_view drawing, std::string_view name) {
  return fmt::format(
      "<li><svg width=\"26\" height=\"12\" viewBox=\"0 0 26 12\" aria-hidden=\"true\">{}</svg> {}</li>",
      drawing, escaped_html(name));
}

}  // namespace tpbench::svg
