#include "report/jsonl.hpp"

#include "report/axes.hpp"

namespace tpbench {
namespace {

Json object_of(const Section& table, const Section::Row& row) {
  Json object = Json::object();
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    const Section::Column& column = table.columns[i];
    if (column.key.empty()) continue;
    (column.group.empty() ? object : object[column.group])[column.key] = row.cells[i].raw;
  }
  return object;
}

std::string line_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace

Json to_json(const Section& table) {
  Json list = Json::array();
  for (const Section::Row& row : table.rows) list.push_back(object_of(table, row));
  return list;
}

std::string to_jsonl(const Section& table) {
  std::string text;
  for (const Section::Row& row : table.rows) text += line_of(object_of(table, row));
  return text;
}

std::string render_jsonl(std::span<const Record> records) {
  std::string text;
  for (const Record* record : in_order(records)) text += line_of(record_to_json(*record));
  return text;
}

}  // namespace tpbench
