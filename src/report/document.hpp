#pragma once

#include <string>
#include <vector>

#include "report/figure.hpp"
#include "report/value.hpp"

namespace tpbench {

enum class Align { left, right };

/// A part of a report, before it is known where it goes: a renderer is a function of sections. Those that are
/// here: to_text, to_markdown, to_html, to_csv, to_jsonl.
struct Section {
  struct Column {
    std::string heading = {};
    Align align = Align::left;
    std::string key = {};    ///< for programs; empty: people alone see the column
    std::string group = {};  ///< of the JSON form: the object that the key is in
    bool is_shown = true;    ///< to people
  };
  struct Row {
    std::vector<Value> cells = {};  ///< one per column
    std::string rest = {};          ///< what people read in place of the cells from `rest_from` on
  };

  std::string title = {};                   ///< empty: none
  std::vector<std::string> sentences = {};  ///< one paragraph or item each
  std::vector<Column> columns = {};         ///< no columns: no table
  std::vector<Row> rows = {};
  std::size_t rest_from = 0;            ///< a column; a row may say something in place of what is behind it
  std::vector<std::string> notes = {};  ///< sentences below the table

  // Of pages; a terminal leaves them out.
  std::vector<Figure> figures = {};  ///< above the table, which has their numbers
  std::string code = {};             ///< commands and files, to be copied
  bool is_below = false;             ///< a part of the section before it
  bool is_folded = false;            ///< table and code are shown when asked for
};

/// For a terminal: plain ASCII as far as the cells are; lines of at most kTextWidth characters.
std::string to_text(const std::vector<Section>& sections);
inline constexpr std::size_t kTextWidth = 116;

/// For a page: headings of the second level, tables in the pipe form. What Markdown would read as markup is
/// escaped.
std::string to_markdown(const std::vector<Section>& sections);

/// Of a table: the columns that have a key, under a heading (RFC 4180).
std::string to_csv(const Section& table);
/// The same, one object for each row.
Json to_json(const Section& table);
std::string to_jsonl(const Section& table);

/// `text` in lines of at most kTextWidth characters; `indent` stands before all but the first.
std::string wrapped_lines(const std::string& text, const std::string& indent);

}  // namespace tpbench
