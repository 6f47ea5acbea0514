#include "report/jsonl.hpp"

#include "base/json.hpp"
#include "report/axes.hpp"

namespace tpbench {

std::string render_jsonl(std::span<const Record> records) {
  std::string text;
  for (const Record* record : in_order(records))
    text += record_to_json(*record).dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
  return text;
}

}  // namespace tpbench
