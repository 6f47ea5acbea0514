#include "report/render.hpp"

#include <stdexcept>

#include "base/json.hpp"
#include "report/csv.hpp"
#include "report/jsonl.hpp"
#include "report/table.hpp"
#include "report/useful_degree.hpp"

namespace tpbench {
namespace {

std::string render_json(const std::vector<Record>& records, double efficiency_floor) {
  Json verdicts = Json::array(), warnings = Json::array();
  const std::vector<UsefulDegree> found = useful_degrees(records, efficiency_floor);
  for (const UsefulDegree& verdict : found) verdicts.push_back(verdict_to_json(verdict));
  for (const std::string& warning : warning_sentences(records)) warnings.push_back(warning);
  const Json document = {{"schema", "tpbench.results/1"},
                         {"summary", verdict_sentences(found)},
                         {"verdicts", std::move(verdicts)},
                         {"warnings", std::move(warnings)},
                         {"cases", to_json(summary_table(records))}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace

std::string render(Format format, const std::vector<Record>& records, double efficiency_floor) {
  switch (format) {
    case Format::table:
      return render_table(records, efficiency_floor);
    case Format::csv:
      return render_csv(records);
    case Format::json:
      return render_json(records, efficiency_floor);
    case Format::markdown:
      return to_markdown(result_sections(records, efficiency_floor));
    case Format::jsonl:
      return render_jsonl(records);
    case Format::none:
      return "";
  }
  throw std::logic_error("render: unknown format");
}

}  // namespace tpbench
