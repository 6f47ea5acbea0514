#pragma once

#include <string>
#include <string_view>

#include "report/figure.hpp"

namespace tpbench {

/// The chart as one <svg> element, 480 wide, with a title and a description for who does not see it. Colours
/// are attributes, which no content security policy takes away; classes let a style sheet change them. `id`
/// is unique on the page. The transform of each axis stands on its plot (data-x, data-y: "log|linear FROM TO
/// LEFT RIGHT"), so that values can be read back.
std::string to_svg(const Figure& figure, std::string_view id);

/// What the colours of the chart stand for, as a list; empty where there is only one.
std::string legend_html(const Figure& figure);

/// `text` between tags or in an attribute. What is no UTF-8, and control characters, become U+FFFD.
std::string escaped_html(std::string_view text);

}  // namespace tpbench
