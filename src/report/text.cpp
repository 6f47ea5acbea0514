// Reports for a terminal.
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "report/document.hpp"

namespace tpbench {
namespace {

// Breaks at spaces into lines of at most `width` characters; longer words stay whole.
std::vector<std::string> wrap_text(const std::string& text, std::size_t width) {
  std::vector<std::string> words;
  for (const std::string& word : split(text, ' ')) {
    if (word.starts_with('%') && !words.empty())
      words.back() += ' ' + word;  // a number keeps its sign
    else
      words.push_back(word);
  }
  std::vector<std::string> lines(1);
  for (const std::string& word : words) {
    std::string& line = lines.back();
    if (line.empty())
      line = word;
    else if (line.size() + 1 + word.size() <= width)
      line += ' ' + word;
    else
      lines.push_back(word);
  }
  return lines;
}

std::string ended(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

// A row as it is printed: cells below their columns, then a text that goes on below itself.
struct PrintedRow {
  std::vector<std::string> cells;
  std::string text = {};
};

PrintedRow printed(const Section& section, const Section::Row& row) {
  PrintedRow result;
  const std::size_t most =
      row.rest.empty() ? row.cells.size() : std::min(row.cells.size(), section.rest_from);
  for (std::size_t i = 0; i < most; ++i) {
    if (section.columns[i].is_shown) result.cells.push_back(text_of(row.cells[i]));
  }
  result.text = row.rest;
  // Reasons are long: a last column of words takes the rest of the line.
  const auto last = std::find_if(section.columns.rbegin(), section.columns.rend(),
                                 [](const Section::Column& column) { return column.is_shown; });
  if (row.rest.empty() && last != section.columns.rend() && last->align == Align::left) {
    result.text = result.cells.back();
    result.cells.pop_back();
  }
  std::replace(result.text.begin(), result.text.end(), '\n', ' ');  // one row is one case
  return result;
}

std::string table_text(const Section& section) {
  if (section.rows.empty()) return "";
  PrintedRow heading;
  std::vector<Align> aligns;
  for (const Section::Column& column : section.columns) {
    if (!column.is_shown) continue;
    heading.cells.push_back(column.heading);
    aligns.push_back(column.align);
  }
  std::vector<PrintedRow> rows = {heading};
  for (const Section::Row& row : section.rows) rows.push_back(printed(section, row));
  std::vector<std::size_t> widths(aligns.size());
  for (const PrintedRow& row : rows) {
    for (std::size_t i = 0; i < row.cells.size(); ++i) widths[i] = std::max(widths[i], row.cells[i].size());
  }
  std::string text;
  for (const PrintedRow& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      line += aligns[i] == Align::left ? fmt::format("{:<{}}  ", row.cells[i], widths[i])
                                       : fmt::format("{:>{}}  ", row.cells[i], widths[i]);
    }
    if (row.cells.empty()) {
      text += wrapped_lines(row.text, "  ");
      continue;
    }
    const std::size_t indent = line.size();
    const auto lines =
        wrap_text(row.text, std::max<std::size_t>(40, kTextWidth - std::min(kTextWidth, indent)));
    for (std::size_t i = 0; i < lines.size(); ++i)
      line += (i == 0 ? "" : '\n' + std::string(indent, ' ')) + lines[i];
    text += ended(std::move(line));
  }
  return text;
}

std::string section_text(const Section& section) {
  std::string text = section.title.empty() ? "" : section.title + '\n';
  for (const std::string& sentence : section.sentences) text += wrapped_lines(sentence, "  ");
  text += table_text(section);
  if (!section.rows.empty() && !section.notes.empty()) text += '\n';
  for (const std::string& note : section.notes) text += wrapped_lines(note, "  ");
  return text;
}

}  // namespace

std::string wrapped_lines(const std::string& text, const std::string& indent) {
  std::string lines;
  for (const std::string& line : wrap_text(text, kTextWidth - indent.size()))
    lines += (lines.empty() ? "" : indent) + line + '\n';
  return lines;
}

std::string to_text(const std::vector<Section>& sections) {
  std::string text;
  for (const Section& section : sections) {
    const std::string part = section_text(section);
    if (!part.empty()) text += (text.empty() ? "" : "\n") + part;
  }
  return text;
}

}  // namespace tpbench
