#pragma once

#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "report/value.hpp"

namespace tpbench {

/// An axis: its title, what its numbers are, and how they lie.
struct Scale {
  std::string title = {};
  Kind kind = Kind::plain;
  bool is_logarithmic = false;
  std::vector<double> ticks = {};  ///< empty: chosen by whoever draws
};

/// One point of a curve.
struct Mark {
  double x = 0, y = 0;
  std::optional<std::array<double, 2>> interval = {};  ///< of y
};

/// Points that belong together. `look` tells curves apart by colour, shape and dashes; those of a reference
/// line have none.
struct Curve {
  enum class Line { none, solid, dashed, dotted };

  std::string name = {};
  std::optional<std::size_t> look = {};
  Line line = Line::solid;
  bool has_marks = true;
  std::vector<Mark> marks = {};
};

/// Curves over a common axis.
struct LineChart {
  Scale x, y;
  std::vector<Curve> curves = {};
};

/// Stacked bars, from 0.
struct BarChart {
  struct Bar {
    std::string label = {};
    std::string group = {};            ///< neighbours of one group stand together below its name; empty: none
    std::vector<double> parts = {};    ///< in the order of `parts` below
    std::optional<double> ideal = {};  ///< a line across the bar
  };

  Scale y;
  std::vector<std::string> parts = {};
  std::vector<Bar> bars = {};
  std::string ideal = {};  ///< what the line across the bars is
};

/// What each of several ranks did, side by side over time in seconds.
struct LaneChart {
  struct Span {
    double start = 0, end = 0;
    std::size_t kind = 0;  ///< in the order of `kinds` below
    std::string text = {};
  };
  struct Lane {
    std::string label = {};
    std::vector<Span> spans = {};
  };

  std::vector<std::string> kinds = {};
  std::vector<Lane> lanes = {};
};

/// A chart, before it is known where it goes, with what it says in words.
struct Figure {
  std::string title = {};
  std::string words = {};  ///< what is to be seen, for those who see it and those who do not
  std::variant<LineChart, BarChart, LaneChart> chart = {};
};

}  // namespace tpbench
