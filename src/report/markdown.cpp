// Reports for a page.
#include "report/document.hpp"

namespace tpbench {
namespace {

// Paths and keys hold underscores, labels whatever their user liked.
std::string escaped(const std::string& text) {
  constexpr std::string_view kMarkup = "\\`*_[]<>|#~";
  std::string result;
  for (const char c : text) {
    if (kMarkup.find(c) != std::string_view::npos) result += '\\';
    result += c == '\n' ? ' ' : c;
  }
  return result;
}

std::string markdown_cell(const std::string& text) { return ' ' + escaped(text) + " |"; }

std::string markdown_row(const Section& section, const Section::Row& row) {
  std::string line = "|";
  for (std::size_t i = 0; i < section.columns.size(); ++i) {
    if (!section.columns[i].is_shown) continue;
    const bool is_covered = !row.rest.empty() && (row.cells.empty() || i >= section.rest_from);
    const bool is_first = row.cells.empty() ? i == 0 : i == section.rest_from;
    line += markdown_cell(!is_covered ? text_of(row.cells[i]) : is_first ? row.rest : "");
  }
  return line + '\n';
}

std::string markdown_table(const Section& section) {
  if (section.rows.empty()) return "";
  std::string headings = "|", rule = "|";
  for (const Section::Column& column : section.columns) {
    if (!column.is_shown) continue;
    headings += markdown_cell(column.heading);
    rule += column.align == Align::right ? "---:|" : "---|";
  }
  std::string text = headings + '\n' + rule + '\n';
  for (const Section::Row& row : section.rows) text += markdown_row(section, row);
  return text;
}

std::string markdown_items(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += "- " + escaped(sentence) + '\n';
  return text;
}

}  // namespace

std::string to_markdown(const std::vector<Section>& sections) {
  std::string text;
  for (const Section& section : sections) {
    const std::string parts[] = {section.title.empty() ? "" : "## " + escaped(section.title) + '\n',
                                 markdown_items(section.sentences), markdown_table(section),
                                 markdown_items(section.notes)};
    for (const std::string& part : parts) {
      if (!part.empty()) text += (text.empty() ? "" : "\n") + part;
    }
  }
  return text;
}

}  // namespace tpbench
