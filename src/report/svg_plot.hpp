#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/figure.hpp"

/// What the drawings of charts share: looks, axes, the frame.
namespace tpbench::svg {

inline constexpr double kWidth = 480, kHeight = 290;
inline constexpr double kLeft = 66, kRight = 454, kTop = 14, kBottom = 246;

/// Colours that people with any kind of colour vision tell apart (M. Okabe, K. Ito, Color Universal Design,
/// 2008), a little darker where they would be faint on white.
inline constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#a4508b", "#e69f00",
                                           "#3a9bd4", "#5f5f00", "#000000", "#8c4a1f", "#666666"};
inline constexpr std::size_t kLooks = std::size(kColours);
/// Grey: what is neither good nor bad.
inline constexpr const char* kQuiet = "#767676";

/// Colours of the parts of a stack, in their order.
const char* part_colour(std::size_t part);

/// "12.3": two digits behind the point at most.
std::string number(double value);
/// "2 ms", "1 GB": of a tick.
std::string tick_text(Kind kind, double value);
std::string full_text(Kind kind, double value);

/// From values to pixels.
class Axis {
 public:
  /// Chooses round ends around `values` where the axis is linear; `from`, `to`: pixels.
  Axis(const Scale& scale, const std::vector<double>& values, double from, double to, bool from_zero);

  [[nodiscard]] double at(double value) const;
  [[nodiscard]] const std::vector<double>& ticks() const { return ticks_; }
  /// "log 1 8 66 468"
  [[nodiscard]] std::string transform() const;
  [[nodiscard]] double low() const { return low_; }
  [[nodiscard]] double high() const { return high_; }

 private:
  bool is_logarithmic_;
  double low_ = 0, high_ = 1, from_, to_;
  std::vector<double> ticks_;
};

std::string text_at(double x, double y, const char* anchor, std::string_view text,
                    std::string_view more = "");
/// Grid, ticks and title of the vertical axis.
std::string draw_y(const Axis& axis, const Scale& scale);
std::string draw_x(const Axis& axis, const Scale& scale);
std::string draw_x_title(const std::string& title);

/// The mark of a look at a place.
std::string draw_mark(std::size_t look, double x, double y, const std::string& title);
std::string dashes_of(Curve::Line line);

std::string draw(const LineChart& chart);
std::string draw(const BarChart& chart);
/// Its height grows with the lanes.
std::string draw(const LaneChart& chart);
double height_of(const Figure& figure);

/// One entry of a legend: a swatch and its name.
std::string swatch(std::string_view drawing, std::string_view name);
std::string legend(const LineChart& chart);
std::string legend(const BarChart& chart);
std::string legend(const LaneChart& chart);

}  // namespace tpbench::svg
