// Curves: points with their intervals, and lines between them.
#include <fmt/format.h>

#include "report/svg.hpp"
#include "report/svg_plot.hpp"

namespace tpbench::svg {
namespace {

// More are drawn as dots of one path.
constexpr std::size_t kMostShapes = 60;

struct Axes {
  Axis x, y;
};

Axes axes_of(const LineChart& chart) {
  std::vector<double> xs, ys;
  for (const Curve& curve : chart.curves) {
    for (const Mark& mark : curve.marks) {
      xs.push_back(mark.x);
      ys.push_back(mark.y);
      // Ends of intervals show as far as the plot goes.
      if (mark.interval && (!chart.y.is_logarithmic || (*mark.interval)[0] > mark.y / 20))
        ys.insert(ys.end(), {(*mark.interval)[0], (*mark.interval)[1]});
    }
  }
  return {Axis(chart.x, xs, kLeft, kRight, false), Axis(chart.y, ys, kBottom, kTop, !chart.y.is_logarithmic)};
}

std::string colour_of(const Curve& curve) { return curve.look ? kColours[*curve.look % kLooks] : kQuiet; }
std::string class_of(const Curve& curve) {
  return curve.look ? fmt::format("c{}", *curve.look % kLooks) : "q";
}

std::string draw_line(const Curve& curve, const Axes& axes) {
  if (curve.line == Curve::Line::none || curve.marks.size() < 2) return "";
  std::string path;
  for (const Mark& mark : curve.marks)
    path += fmt::format("{}{} {}", path.empty() ? "M" : "L", number(axes.x.at(mark.x)),
                        number(axes.y.at(mark.y)));
  return fmt::format("<path class=\"l {}\" d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{}/>",
                     class_of(curve), path, colour_of(curve), curve.look ? "2" : "1.3",
                     dashes_of(curve.line));
}

std::string mark_title(const LineChart& chart, const Curve& curve, const Mark& mark) {
  std::string text = fmt::format("{}{} {}: {}", curve.name.empty() ? "" : curve.name + ", ", chart.x.title,
                                 tick_text(chart.x.kind, mark.x), full_text(chart.y.kind, mark.y));
  if (mark.interval)
    text += fmt::format(" ({} to {})", full_text(chart.y.kind, (*mark.interval)[0]),
                        full_text(chart.y.kind, (*mark.interval)[1]));
  return text;
}

std::string draw_intervals(const Curve& curve, const Axes& axes) {
  std::string path;
  for (const Mark& mark : curve.marks) {
    if (!mark.interval) continue;
    const double x = axes.x.at(mark.x);
    const double low = std::min(kBottom, axes.y.at((*mark.interval)[0])),
                 high = std::max(kTop, axes.y.at((*mark.interval)[1]));
    path +=
        fmt::format("M{0} {1}V{2}M{3} {1}h6M{3} {2}h6", number(x), number(low), number(high), number(x - 3));
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"l {}\" d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.2\"/>",
                     class_of(curve), path, colour_of(curve));
}

std::string draw_marks(const LineChart& chart, const Curve& curve, const Axes& axes) {
  if (!curve.has_marks || !curve.look) return "";
  std::string text;
  if (curve.marks.size() > kMostShapes) {
    for (const Mark& mark : curve.marks)
      text += fmt::format("M{} {}h0", number(axes.x.at(mark.x)), number(axes.y.at(mark.y)));
    return fmt::format(
        "<path class=\"l d {}\" d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"3.4\" "
        "stroke-linecap=\"round\"/>",
        class_of(curve), text, colour_of(curve));
  }
  for (const Mark& mark : curve.marks)
    text += draw_mark(*curve.look, axes.x.at(mark.x), axes.y.at(mark.y), mark_title(chart, curve, mark));
  return text;
}

}  // namespace

std::string draw(const LineChart& chart) {
  const Axes axes = axes_of(chart);
  std::string text = draw_y(axes.y, chart.y) + draw_x(axes.x, chart.x);
  text +=
      fmt::format("<g class=\"plot\" data-x=\"{}\" data-y=\"{}\">", axes.x.transform(), axes.y.transform());
  for (const Curve& curve : chart.curves) {
    text += fmt::format("<g data-curve=\"{}\">", escaped_html(curve.name)) + draw_line(curve, axes) +
            draw_intervals(curve, axes) + draw_marks(chart, curve, axes) + "</g>";
  }
  return text + "</g>";
}

std::string legend(const LineChart& chart) {
  if (chart.curves.size() < 2) return "";
  std::string items;
  for (const Curve& curve : chart.curves) {
    std::string drawing;
    if (curve.line != Curve::Line::none)
      drawing =
          fmt::format("<path class=\"l {}\" d=\"M0 6H26\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{}/>",
                      class_of(curve), colour_of(curve), dashes_of(curve.line));
    if (curve.look && curve.has_marks) drawing += draw_mark(*curve.look, 13, 6, curve.name);
    items += swatch(drawing, curve.name);
  }
  return items;
}

}  // namespace tpbench::svg
