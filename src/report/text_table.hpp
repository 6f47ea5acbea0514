#pragma once

#include <string>
#include <vector>

namespace tpbench {

/// A plain-text table: columns as wide as their widest cell, two spaces between them.
class TextTable {
 public:
  enum class Align { left, right };

  void add_column(std::string heading, Align align);
  /// One cell per column.
  void add_row(std::vector<std::string> cells);
  /// Fewer cells than columns, then a text that takes the rest of the line; it is wrapped at `kWidth`.
  void add_row_with_text(std::vector<std::string> cells, std::string text);

  /// Lines with their ends; empty when there are no rows.
  [[nodiscard]] std::string to_string() const;

  static constexpr std::size_t kWidth = 116;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::string text;
  };
  struct Column {
    std::string heading;
    Align align;
  };
  [[nodiscard]] std::vector<std::size_t> widths() const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

/// Breaks `text` at spaces into lines of at most `width` characters (longer words stay whole).
std::vector<std::string> wrap_text(const std::string& text, std::size_t width);

}  // namespace tpbench
