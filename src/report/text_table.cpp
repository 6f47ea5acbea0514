#include "report/text_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace tpbench {
namespace {

std::string pad(const std::string& cell, std::size_t width, TextTable::Align align) {
  return align == TextTable::Align::left ? fmt::format("{:<{}}", cell, width)
                                         : fmt::format("{:>{}}", cell, width);
}

void end_line(std::string& text) {
  text.erase(text.find_last_not_of(' ') + 1);
  text += '\n';
}

}  // namespace

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

void TextTable::add_column(std::string heading, Align align) {
  columns_.push_back({std::move(heading), align});
}

void TextTable::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back({std::move(cells), ""});
}

void TextTable::add_row_with_text(std::vector<std::string> cells, std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');  // one row is one case
  rows_.push_back({std::move(cells), std::move(text)});
}

std::vector<std::size_t> TextTable::widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = columns_[i].heading.size();
    for (const Row& row : rows_) {
      if (i < row.cells.size()) width = std::max(width, row.cells[i].size());
    }
    widths.push_back(width);
  }
  return widths;
}

std::string TextTable::to_string() const {
  if (rows_.empty()) return "";
  const std::vector<std::size_t> width = widths();
  std::string text;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    text += pad(columns_[i].heading, width[i], columns_[i].align) + "  ";
  }
  end_line(text);
  for (const Row& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.cells.size(); ++i)
      line += pad(row.cells[i], width[i], columns_[i].align) + "  ";
    if (!row.text.empty()) {
      const std::size_t indent = line.size();
      const auto lines = wrap_text(row.text, std::max<std::size_t>(40, kWidth - std::min(kWidth, indent)));
      for (std::size_t i = 0; i < lines.size(); ++i) {
        line += (i == 0 ? "" : '\n' + std::string(indent, ' ')) + lines[i];
      }
    }
    end_line(line);
    text += line;
  }
  return text;
}

}  // namespace tpbench
