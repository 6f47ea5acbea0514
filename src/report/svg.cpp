#include "report/svg.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "report/svg_plot.hpp"

namespace tpbench {
namespace {

// Bytes of the UTF-8 sequence that begins `text`, 0 where none does.
std::size_t sequence_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xc2 && first < 0xe0 ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
}

}  // namespace

std::string escaped_html(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = sequence_length(text.substr(i));
    const char c = text[i];
    if (length == 0 || is_control(c))
      result += "\xef\xbf\xbd";
    else if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '"')
      result += "&quot;";
    else
      result += text.substr(i, length);
    i += std::max<std::size_t>(1, length);
  }
  return result;
}

std::string to_svg(const Figure& figure, std::string_view id) {
  const std::string drawing = std::visit([](const auto& chart) { return svg::draw(chart); }, figure.chart);
  return fmt::format(
      "<svg viewBox=\"0 0 {} {}\" width=\"{}\" role=\"img\" aria-labelledby=\"{}-t {}-d\" "
      "font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#333333\"><title id=\"{}-t\">{}</title>"
      "<desc id=\"{}-d\">{}</desc>{}</svg>\n",
      svg::number(svg::kWidth), svg::number(svg::height_of(figure)), svg::number(svg::kWidth), id, id, id,
      escaped_html(figure.title), id, escaped_html(figure.words), drawing);
}

std::string legend_html(const Figure& figure) {
  const std::string items = std::visit([](const auto& chart) { return svg::legend(chart); }, figure.chart);
  return items.empty() ? "" : "<ul class=\"legend\">" + items + "</ul>\n";
}

}  // namespace tpbench
