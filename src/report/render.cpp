#include "report/render.hpp"

#include <stdexcept>

#include "report/csv.hpp"
#include "report/jsonl.hpp"
#include "report/table.hpp"

namespace tpbench {

std::string render(Format format, const std::vector<Record>& records, double efficiency_floor) {
  switch (format) {
    case Format::table:
      return render_table(records, efficiency_floor);
    case Format::csv:
      return render_csv(records);
    case Format::jsonl:
      return render_jsonl(records);
    case Format::none:
      return "";
  }
  throw std::logic_error("render: unknown format");
}

}  // namespace tpbench
