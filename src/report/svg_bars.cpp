// Stacks of parts, and lanes of ranks over time.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/svg.hpp"
#include "report/svg_plot.hpp"

namespace tpbench::svg {
namespace {

constexpr double kLane = 16, kLaneGap = 4;

std::string rectangle(double x, double y, double width, double height, std::size_t part,
                      const std::string& title) {
  return fmt::format(
      "<rect class=\"p{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"><title>{}</title></rect>",
      part % 8, number(x), number(y), number(width), number(height), part_colour(part), escaped_html(title));
}

std::string part_swatch(std::size_t part, const std::string& name) {
  return swatch(fmt::format("<rect class=\"p{}\" width=\"26\" height=\"12\" fill=\"{}\"/>", part % 8,
                            part_colour(part)),
                name);
}

// As much of `label` as has room; a rank or a degree is told by its end as well as by its beginning.
std::string fitting(const std::string& label, double room) {
  const auto most = static_cast<std::size_t>(std::max(1.0, room / 6.4));
  return label.size() <= most ? label : label.substr(0, most);
}

struct BarPlace {
  double x = 0, width = 0;
};

// Bars of one group stand close, groups apart.
std::vector<BarPlace> places_of(const BarChart& chart) {
  double units = 0.5;
  std::vector<double> begins;
  for (std::size_t i = 0; i < chart.bars.size(); ++i) {
    const bool is_new =
        i == 0 || chart.bars[i].group.empty() || chart.bars[i].group != chart.bars[i - 1].group;
    if (i > 0) units += is_new ? 0.55 : 0.08;
    begins.push_back(units);
    units += 1;
  }
  const double unit = std::min(70.0, (kRight - kLeft) / (units + 0.5));
  std::vector<BarPlace> places;
  for (const double begin : begins) places.push_back({kLeft + begin * unit, unit});
  return places;
}

std::string draw_group_names(const BarChart& chart, const std::vector<BarPlace>& places) {
  std::string text;
  for (std::size_t i = 0; i < chart.bars.size();) {
    std::size_t end = i + 1;
    while (end < chart.bars.size() && !chart.bars[i].group.empty() &&
           chart.bars[end].group == chart.bars[i].group)
      ++end;
    const double left = places[i].x, right = places[end - 1].x + places[end - 1].width;
    const std::string& name = chart.bars[i].group.empty() ? chart.bars[i].label : chart.bars[i].group;
    text += text_at((left + right) / 2, kBottom + (chart.bars[i].group.empty() ? 17 : 31), "middle",
                    fitting(name, right - left + 14));
    i = end;
  }
  return text;
}

}  // namespace

std::string draw(const BarChart& chart) {
  std::vector<double> tops = {0};
  for (const BarChart::Bar& bar : chart.bars) {
    tops.push_back(std::accumulate(bar.parts.begin(), bar.parts.end(), 0.0));
    if (bar.ideal) tops.push_back(*bar.ideal);
  }
  const Axis axis(chart.y, tops, kBottom, kTop, true);
  const std::vector<BarPlace> places = places_of(chart);
  std::string text = draw_y(axis, chart.y) +
                     fmt::format("<path class=\"a\" d=\"M{} {}H{}\" stroke=\"#555555\" fill=\"none\"/>",
                                 number(kLeft), number(axis.at(0)), number(kRight)) +
                     fmt::format("<g class=\"plot\" data-y=\"{}\">", axis.transform());
  std::string ideals;
  for (std::size_t i = 0; i < chart.bars.size(); ++i) {
    const BarChart::Bar& bar = chart.bars[i];
    const BarPlace& place = places[i];
    const std::string who = bar.group.empty() ? bar.label : bar.group + ", " + bar.label;
    text += fmt::format("<g data-bar=\"{}\">", escaped_html(who));
    double below = 0;
    for (std::size_t part = 0; part < bar.parts.size(); ++part) {
      if (!(bar.parts[part] > 0)) continue;
      const double bottom = axis.at(below), top = axis.at(below + bar.parts[part]);
      text += rectangle(
          place.x, top, place.width, bottom - top, part,
          fmt::format("{}, {}: {}", who, chart.parts[part], full_text(chart.y.kind, bar.parts[part])));
      below += bar.parts[part];
    }
    text += "</g>";
    if (!bar.group.empty() && place.width > 9)
      text += text_at(place.x + place.width / 2, kBottom + 14, "middle", fitting(bar.label, place.width),
                      " font-size=\"10\"");
    if (bar.ideal)
      ideals += fmt::format("M{} {}h{}", number(place.x - 5), number(axis.at(*bar.ideal)),
                            number(place.width + 10));
  }
  if (!ideals.empty())
    text += fmt::format(
        "<path class=\"i\" d=\"{}\" stroke=\"#000000\" stroke-width=\"2\" stroke-dasharray=\"6 3\" "
        "fill=\"none\"/>",
        ideals);
  return text + "</g>" + draw_group_names(chart, places);
}

std::string legend(const BarChart& chart) {
  std::string items;
  for (std::size_t part = 0; part < chart.parts.size(); ++part) {
    const bool is_there = std::any_of(chart.bars.begin(), chart.bars.end(),
                                      [&](const BarChart::Bar& bar) { return bar.parts.at(part) > 0; });
    if (is_there) items += part_swatch(part, chart.parts[part]);
  }
  if (!chart.ideal.empty())
    items += swatch(
        "<path class=\"i\" d=\"M0 6H26\" stroke=\"#000000\" stroke-width=\"2\" stroke-dasharray=\"6 3\" "
        "fill=\"none\"/>",
        chart.ideal);
  return items;
}

double height_of(const Figure& figure) {
  const LaneChart* lanes = std::get_if<LaneChart>(&figure.chart);
  return lanes == nullptr ? kHeight
                          : kTop + static_cast<double>(lanes->lanes.size()) * (kLane + kLaneGap) + 44;
}

std::string draw(const LaneChart& chart) {
  double end = 0;
  for (const LaneChart::Lane& lane : chart.lanes) {
    for (const LaneChart::Span& span : lane.spans) end = std::max(end, span.end);
  }
  constexpr double kLabels = 96;
  const Axis axis({.title = "time", .kind = Kind::seconds}, {0, end}, kLabels, kRight, true);
  const double bottom = kTop + static_cast<double>(chart.lanes.size()) * (kLane + kLaneGap);
  std::string text = fmt::format("<g class=\"plot\" data-x=\"{}\">", axis.transform());
  for (std::size_t i = 0; i < chart.lanes.size(); ++i) {
    const double y = kTop + static_cast<double>(i) * (kLane + kLaneGap);
    text += text_at(kLabels - 6, y + 12, "end", fitting(chart.lanes[i].label, kLabels - 6));
    text += fmt::format("<g data-lane=\"{}\">", escaped_html(chart.lanes[i].label));
    for (const LaneChart::Span& span : chart.lanes[i].spans) {
      const double from = axis.at(span.start);
      text += rectangle(from, y, std::max(0.4, axis.at(span.end) - from), kLane, span.kind, span.text);
    }
    text += "</g>";
  }
  text += fmt::format("</g><path class=\"a\" d=\"M{} {}H{}", number(kLabels), number(bottom), number(kRight));
  std::string labels;
  for (const double tick : axis.ticks()) {
    text += fmt::format("M{} {}v4", number(axis.at(tick)), number(bottom));
    labels += text_at(axis.at(tick), bottom + 17, "middle", tick_text(Kind::seconds, tick));
  }
  return text + "\" stroke=\"#555555\" fill=\"none\"/>" + labels +
         text_at((kLabels + kRight) / 2, bottom + 36, "middle", "since the step began");
}

std::string legend(const LaneChart& chart) {
  std::string items;
  for (std::size_t kind = 0; kind < chart.kinds.size(); ++kind) items += part_swatch(kind, chart.kinds[kind]);
  return items;
}

}  // namespace tpbench::svg
