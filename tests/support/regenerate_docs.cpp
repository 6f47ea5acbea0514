// regenerate_docs: writes what of docs/ follows from the tables of the keys of records and calibrations
// (docs/architecture.md), and the drawings of docs/pipeline.md.
#include <fmt/format.h>

#include <exception>

#include "advisor/calibration.hpp"
#include "pipeline_docs.hpp"
#include "record_docs.hpp"
#include "report/model_plan.hpp"

int main() {
  using namespace tpbench;
  const std::string docs = TPBENCH_SOURCE_DIR "/docs/";
  try {
    const Json schema = record_docs::schema(Json::parse(record_docs::read_file(docs + "record.schema.json")));
    const std::string page = record_docs::page(record_docs::read_file(docs + "record.md"), schema);
    std::ofstream(docs + "record.schema.json") << record_docs::pretty(schema) << '\n';
    std::ofstream(docs + "record.md") << page;
    std::ofstream(docs + "calibration.schema.json") << record_docs::pretty(calibration_schema()) << '\n';
    std::ofstream(docs + "plan.schema.json") << record_docs::pretty(plan_schema()) << '\n';
    const std::string pipeline = pipeline_docs::page(record_docs::read_file(docs + "pipeline.md"));
    std::ofstream(docs + "pipeline.md") << pipeline;
  } catch (const std::exception& error) {
    fmt::print(stderr, "regenerate_docs: {}\n", error.what());
    return 1;
  }
  return 0;
}
