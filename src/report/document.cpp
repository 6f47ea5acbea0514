#include "report/document.hpp"

#include <algorithm>

#include "report/common_text.hpp"

namespace tpbench {
namespace {

std::string text_table(const Section& section) {
  TextTable table;
  for (const Section::Column& column : section.columns) table.add_column(column.heading, column.align);
  const bool ends_in_text =
      !section.columns.empty() && section.columns.back().align == TextTable::Align::left;
  for (const auto& row : section.rows) {
    // Reasons are long: the last column takes the rest of the line and goes on below itself.
    if (ends_in_text)
      table.add_row_with_text({row.begin(), row.end() - 1}, row.back());
    else
      table.add_row(row);
  }
  return table.to_string();
}

std::string text_of(const Section& section) {
  std::string text = section.title.empty() ? "" : section.title + '\n';
  for (const std::string& sentence : section.sentences) text += wrapped_lines(sentence, "  ");
  text += text_table(section);
  if (!section.rows.empty() && !section.notes.empty()) text += '\n';
  for (const std::string& note : section.notes) text += wrapped_lines(note, "  ");
  return text;
}

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

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += ' ' + escaped(cell) + " |";
  return line + '\n';
}

std::string markdown_table(const Section& section) {
  if (section.rows.empty()) return "";
  std::vector<std::string> headings;
  std::string rule = "|";
  for (const Section::Column& column : section.columns) {
    headings.push_back(column.heading);
    rule += column.align == TextTable::Align::right ? "---:|" : "---|";
  }
  std::string text = markdown_row(headings) + rule + '\n';
  for (const auto& row : section.rows) text += markdown_row(row);
  return text;
}

std::string markdown_items(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += "- " + escaped(sentence) + '\n';
  return text;
}

std::string markdown_of(const Section& section) {
  std::string text;
  const std::string parts[] = {section.title.empty() ? "" : "## " + escaped(section.title) + '\n',
                               markdown_items(section.sentences), markdown_table(section),
                               markdown_items(section.notes)};
  for (const std::string& part : parts) {
    if (!part.empty()) text += (text.empty() ? "" : "\n") + part;
  }
  return text;
}

template <typename Print>
std::string join_sections(const std::vector<Section>& sections, Print&& print) {
  std::string text;
  for (const Section& section : sections) {
    const std::string part = print(section);
    if (!part.empty()) text += (text.empty() ? "" : "\n") + part;
  }
  return text;
}

}  // namespace

std::string to_text(const std::vector<Section>& sections) { return join_sections(sections, text_of); }

std::string to_markdown(const std::vector<Section>& sections) { return join_sections(sections, markdown_of); }

}  // namespace tpbench
