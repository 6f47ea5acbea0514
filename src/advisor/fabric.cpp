#include "advisor/fabric.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "advisor/fit.hpp"
#include "base/text.hpp"

namespace tpbench {
namespace {

[[noreturn]] void refuse_network(const std::string& text, std::string rule) {
  throw UsageError({Fault{"--fabric " + text, "", "", std::move(rule)}});
}

struct Unit {
  std::string_view name;
  double times;
};
constexpr Unit kSeconds[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
constexpr Unit kBytesPerSecond[] = {{"GB/s", 1e9},       {"MB/s", 1e6},       {"TB/s", 1e12},
                                    {"Gbit/s", 1e9 / 8}, {"Mbit/s", 1e6 / 8}, {"Tbit/s", 1e12 / 8}};

// A number and one of the units, above 0.
template <std::size_t n>
std::optional<double> quantity(std::string_view text, const Unit (&units)[n]) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !(number > 0) || !std::isfinite(number)) return std::nullopt;
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const Unit& known : units) {
    if (unit == known.name) return number * known.times;
  }
  return std::nullopt;
}

Network described(const std::string& text, const std::string& numbers) {
  std::optional<double> alpha_s, bandwidth;
  for (const std::string& part : split(numbers, ',')) {
    if (part.starts_with("alpha="))
      alpha_s = quantity(std::string_view(part).substr(6), kSeconds);
    else if (part.starts_with("bandwidth="))
      bandwidth = quantity(std::string_view(part).substr(10), kBytesPerSecond);
    else
      refuse_network(text, fmt::format("\"{}\" is neither alpha=TIME nor bandwidth=RATE", part));
  }
  if (!alpha_s || !bandwidth)
    refuse_network(text,
                   "needs both numbers with their units, such as alpha=20us,bandwidth=12.5GB/s or 100Gbit/s");
  constexpr std::int64_t kAnySize = std::int64_t{1} << 50;
  return {text, {{1, kAnySize, 0, {*alpha_s, 1 / *bandwidth, 0, 0}}}, {}};
}

Network probed(const std::string& text, const std::string& file, Reach reach) {
  std::vector<LeftOut> left_out;
  CalibrationSource source;
  const std::vector<ProbedCurve> curves = read_probe(file, left_out, source);
  std::vector<ProbedCurve> of_reach;
  std::copy_if(curves.begin(), curves.end(), std::back_inserter(of_reach), [&](const ProbedCurve& curve) {
    return (curve.hosts > 1) == (reach == Reach::between_hosts);
  });
  const std::vector<BoundaryRate> messages = fit_boundaries({}, of_reach);
  if (messages.empty())
    refuse_network(text, fmt::format("holds no message {}",
                                     reach == Reach::inside_host ? "inside a host" : "between hosts"));
  return {text, messages.front().pieces, fit_collectives({}, of_reach)};
}

}  // namespace

void set_fabric(Fabric& fabric, const std::string& text) {
  Reach reach = Reach::between_hosts;
  std::string what = text;
  if (text.starts_with("inside:")) {
    reach = Reach::inside_host;
    what = text.substr(7);
  } else if (text.starts_with("between:")) {
    what = text.substr(8);
  }
  std::optional<Network>& target = reach == Reach::inside_host ? fabric.inside : fabric.between;
  if (target)
    refuse_network(text, fmt::format("is a second network {}",
                                     reach == Reach::inside_host ? "inside hosts" : "between hosts"));
  const bool has_numbers = what.starts_with("alpha=") || what.starts_with("bandwidth=");
  target = has_numbers ? described(text, what) : probed(text, what, reach);
}

}  // namespace tpbench
