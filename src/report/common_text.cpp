#include "report/common_text.hpp"

#include <fmt/format.h>

#include <set>

#include "base/json.hpp"
#include "report/axes.hpp"
#include "report/text_table.hpp"

namespace tpbench {

std::string wrapped_lines(const std::string& text, const std::string& indent) {
  std::string lines;
  for (const std::string& line : wrap_text(text, TextTable::kWidth - indent.size())) {
    lines += (lines.empty() ? "" : indent) + line + '\n';
  }
  return lines;
}

std::string shared_fields(std::span<const Case> cases) {
  std::string text = "All cases:";
  for (const CaseField& field : case_fields()) {
    std::set<std::string> values;
    for (const Case& point : cases) {
      if (!field.get(point).is_null()) values.insert(field_text(field, point));
    }
    if (values.size() == 1) text += fmt::format(" {}={}", field.title, *values.begin());
  }
  return text;
}

std::string common_text(std::span<const Record* const> records) {
  std::string text = shared_fields(cases_of(records));
  std::set<std::string> labels;
  for (const Record* record : records) labels.insert(record->label);
  constexpr std::string_view kHead = "All cases:";
  if (labels.size() == 1 && !labels.begin()->empty()) text.insert(kHead.size(), " label=" + *labels.begin());
  return wrapped_lines(text, "  ");
}

}  // namespace tpbench
