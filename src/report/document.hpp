#pragma once

#include <string>
#include <vector>

#include "report/text_table.hpp"

namespace tpbench {

/// A part of a report, before it is known how it will be printed.
struct Section {
  struct Column {
    std::string heading;
    TextTable::Align align = TextTable::Align::left;
  };

  std::string title;                           ///< empty: none
  std::vector<std::string> sentences;          ///< one paragraph or item each
  std::vector<Column> columns;                 ///< no columns: no table
  std::vector<std::vector<std::string>> rows;  ///< one cell per column
  std::vector<std::string> notes;              ///< sentences below the table
};

/// For a terminal: plain ASCII as far as the cells are.
std::string to_text(const std::vector<Section>& sections);

/// For a page: headings of the second level, tables in the pipe form. What Markdown would read as markup is
/// escaped.
std::string to_markdown(const std::vector<Section>& sections);

}  // namespace tpbench
