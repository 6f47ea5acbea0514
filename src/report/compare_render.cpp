#include "report/compare_render.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace tpbench {

std::string folder_letter(std::size_t place) {
  const std::string letter(1, static_cast<char>('A' + place % 26));
  return place < 26 ? letter : letter + std::to_string(place / 26 + 1);
}

std::string render_comparisons(CompareFormat format, std::span<const Comparison> comparisons,
                               const Gate* gate) {
  const std::string end = gate != nullptr ? '\n' + gate->line() + '\n' : "";
  switch (format) {
    case CompareFormat::table:
      return to_text(compare_sections(comparisons)) + end;
    case CompareFormat::csv:
      return to_csv(compare_table(comparisons));
    case CompareFormat::json:
      return compare_json(comparisons, gate);
    case CompareFormat::markdown:
      return to_markdown(compare_sections(comparisons)) + end;
    case CompareFormat::none:
      return "";
  }
  throw std::logic_error("render_comparisons: unknown format");
}

}  // namespace tpbench
