#include "report/csv.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/fields.hpp"
#include "base/text.hpp"
#include "report/axes.hpp"

namespace tpbench {
namespace {

// One column of summary.csv, as the table of the record's keys (FieldText::column) gives it:
//
//   *            the key's name
//   ^            the name of the object that it is in
//   low high     two columns, of a list of two
//   name         of a list of objects: how many there are
//   name[key]    of a list of objects: that key of all of them, joined by ;
//   name;        of a list of numbers: all of them, joined by ;  Of a list of words each word once.
//
// What is in a list of objects has a cell where the list has one entry: the record tells several apart.
constexpr const char* kJoined = ";";

struct Column {
  std::string name;
  std::vector<std::string> path;
  std::optional<std::size_t> element = {};
  std::string joined = {};
};

std::string name_of_column(const std::string& pattern, const std::vector<std::string>& path) {
  std::string name;
  for (const char c : pattern) {
    if (c == '*')
      name += path.back();
    else if (c == '^')
      name += path[path.size() - 2];
    else
      name += c;
  }
  return name;
}

void add_column(std::vector<Column>& columns, Column column) {
  const bool is_known = std::any_of(columns.begin(), columns.end(),
                                    [&](const Column& known) { return known.name == column.name; });
  if (!is_known) columns.push_back(std::move(column));
}

void add_columns(std::vector<Column>& columns, const Json& type, const std::vector<std::string>& parent) {
  for (const auto& entry : type.at("properties").items()) {
    std::vector<std::string> path = parent;
    path.push_back(entry.key());
    const Json& value = entry.value();
    const std::string said = value.value("x-column", std::string());
    const auto patterns = said.empty() ? std::vector<std::string>() : split(said, ' ');
    const std::size_t bracket = said.find('[');
    if (bracket != std::string::npos) {
      add_column(columns,
                 {said.substr(0, bracket), path, {}, said.substr(bracket + 1, said.size() - bracket - 2)});
    } else {
      for (std::size_t i = 0; i < patterns.size(); ++i) {
        const auto element = patterns.size() > 1 ? std::optional(i) : std::nullopt;
        const bool is_joined = patterns[i].ends_with(kJoined);
        const std::string name =
            name_of_column(is_joined ? patterns[i].substr(0, patterns[i].size() - 1) : patterns[i], path);
        add_column(columns, {name, path, element, is_joined ? kJoined : ""});
      }
    }
    if (value.contains("properties"))
      add_columns(columns, value, path);
    else if (value.contains("items") && value.at("items").contains("properties"))
      add_columns(columns, value.at("items"), path);
  }
}

std::string joined_text(const Json& list, const std::string& key) {
  std::string text;
  for (const Json& item : list) text += (text.empty() ? "" : ";") + item.at(key).get<std::string>();
  return text;
}

std::string joined_values(const Json& list) {
  std::vector<std::string> texts;
  for (const Json& value : list) {
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const bool is_known = value.is_string() && std::find(texts.begin(), texts.end(), text) != texts.end();
    if (!is_known) texts.push_back(std::move(text));
  }
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : kJoined) + text;
  return all;
}

Json cell_of(const Column& column, const Json& top) {
  const Json* at = &top;
  for (std::size_t i = 1; i < column.path.size(); ++i) {
    if (at->is_array()) at = at->size() == 1 ? &at->front() : nullptr;
    if (at == nullptr || at->is_null()) return nullptr;
    at = &at->at(column.path[i]);
  }
  if (!at->is_array()) return *at;
  if (column.element) return at->at(*column.element);
  if (column.joined.empty()) return at->size();
  if (column.joined == kJoined) return at->empty() ? Json(nullptr) : Json(joined_values(*at));
  return at->empty() ? Json(nullptr) : Json(joined_text(*at, column.joined));
}

// Those of one key of a record, which is written once for all of them.
struct ColumnGroup {
  const Field<Record>* row = nullptr;
  std::vector<Column> columns;
};

std::vector<ColumnGroup> column_groups() {
  std::vector<ColumnGroup> groups;
  for (const Field<Record>& row : record_fields()) {
    ColumnGroup group{&row, {}};
    add_columns(group.columns, object_type(std::span(&row, 1)), {});
    if (!group.columns.empty()) groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace

std::string csv_cell(const Json& value) {
  if (value.is_null()) return "";
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string to_csv(const Section& table) {
  std::vector<Json> cells;
  for (const Section::Column& column : table.columns) {
    if (!column.key.empty()) cells.emplace_back(column.key);
  }
  std::string text = csv_line(cells);
  for (const Section::Row& row : table.rows) {
    cells.clear();
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      const Value& value = row.cells[i];
      const bool is_list = value.kind == Kind::bytes_list && !value.is_missing();
      if (!table.columns[i].key.empty())
        cells.push_back(is_list ? Json(joined_values(value.raw)) : value.raw);
    }
    text += csv_line(cells);
  }
  return text;
}

std::string csv_line(std::span<const Json> cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) line += (i == 0 ? "" : ",") + csv_cell(cells[i]);
  return line + '\n';
}

Section summary_table(std::span<const Record> records) {
  static const std::vector<ColumnGroup> kGroups = column_groups();
  Section table;
  for (const ColumnGroup& group : kGroups) {
    for (const Column& column : group.columns) table.columns.push_back({.key = column.name});
  }
  for (const Record* record : in_order(records)) {
    Section::Row row;
    for (const ColumnGroup& group : kGroups) {
      const Json value = group.row->get(*record);
      for (const Column& column : group.columns) row.cells.emplace_back(cell_of(column, value));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace tpbench
