#include "result/step_trace.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "base/fields.hpp"

namespace tpbench {

template <>
std::span<const Field<TraceEvent>> fields_of<TraceEvent>() {
  static const std::vector<Field<TraceEvent>> kRows = {
      field("kind", &TraceEvent::kind, {}),       field("direction", &TraceEvent::direction, {}),
      field("bytes", &TraceEvent::bytes, {}),     field("group", &TraceEvent::group, {}),
      field("stage", &TraceEvent::stage, {}),     field("microbatch", &TraceEvent::microbatch, {}),
      field("start_s", &TraceEvent::start_s, {}), field("end_s", &TraceEvent::end_s, {})};
  return kRows;
}

template <>
std::span<const Field<TraceRank>> fields_of<TraceRank>() {
  static const std::vector<Field<TraceRank>> kRows = {
      field("rank", &TraceRank::rank, {}), field("group", &TraceRank::group, {}),
      field("host", &TraceRank::host, {}), field("is_whole", &TraceRank::is_whole, {}),
      field("events", &TraceRank::events, {})};
  return kRows;
}

template <>
std::span<const Field<StepTrace>> fields_of<StepTrace>() {
  static const std::vector<Field<StepTrace>> kRows = {field("id", &StepTrace::id, {}),
                                                      field("sample", &StepTrace::sample, {}),
                                                      field("step_s", &StepTrace::step_s, {}),
                                                      field("is_aligned", &StepTrace::is_aligned, {}),
                                                      field("clock_error_s", &StepTrace::clock_error_s, {}),
                                                      field("ranks_left_out", &StepTrace::ranks_left_out, {}),
                                                      field("ranks", &StepTrace::ranks, {})};
  return kRows;
}

namespace {

constexpr const char* kTraceSchema = "tpbench.trace/1";

}  // namespace

Json trace_to_json(const StepTrace& trace) {
  Json json = {{"schema", kTraceSchema}};
  json.update(write_object(fields_of<StepTrace>(), trace));
  return json;
}

StepTrace trace_from_json(const Json& document) {
  if (!document.is_object() || document.value("schema", Json()) != kTraceSchema)
    throw std::runtime_error(fmt::format("is not a {} document", kTraceSchema));
  StepTrace trace;
  try {
    read_object(fields_of<StepTrace>(), document, trace);
  } catch (const FieldFault& fault) {
    throw std::runtime_error(fmt::format("is not a {} document: {}", kTraceSchema, fault.what()));
  }
  return trace;
}

}  // namespace tpbench
