#include <fmt/format.h>

#include <stdexcept>

#include "result/record_rows.hpp"

// The record, key by key: docs/architecture.md, "How to add a key of the record". Its parts:
// record_parts.cpp, record_machine.cpp, record_ranks.cpp, record_products.cpp, record_pipeline.cpp.
namespace tpbench {
namespace {

// Quantities as they are summed up, or sample by sample. Those that not every case has may be null.
template <typename Write, typename Read>
Rows<TimeResult> time_rows(bool with_meaning, Json (*type)(), const Write& write, const Read& read) {
  Rows<TimeResult> rows;
  for (const QuantityRow& quantity : kQuantities) {
    const auto member = quantity.member;
    const bool may_be_null = !quantity.text.null.empty();
    rows.push_back(
        {quantity.name, with_meaning ? quantity.text : FieldText{.since = quantity.text.since},
         [=](const TimeResult& time) { return is_known(time.*member) ? write(time.*member) : Json(nullptr); },
         [=](TimeResult& time, const Json& json) { read(time.*member, json); },
         [=] { return may_be_null ? fields::nullable(type()) : type(); }});
  }
  return rows;
}

const Rows<TimeResult>& summary_rows() {
  static const Rows<TimeResult> kRows = time_rows(
      true, [] { return type_of<Quantity>({}); }, [](const Quantity& q) { return write_value(q); },
      [](Quantity& q, const Json& json) {
        if (!json.is_null()) read_value(json, q, {});
      });
  return kRows;
}

const Rows<TimeResult>& sample_rows() {
  static const Rows<TimeResult> kRows = time_rows(
      false, [] { return type_of<std::vector<double>>({}); },
      [](const Quantity& q) { return write_value(q.samples_s); },
      [](Quantity& q, const Json& json) {
        const bool has_summary = q.summary.samples > 0;
        if (has_summary == json.is_null())
          throw FieldFault(has_summary ? "is null and that of time_s is not"
                                       : "is not null and that of time_s is");
        if (has_summary) read_value(json, q.samples_s, {});
      });
  return kRows;
}

// Only a case that is ok has times, and what is measured beside them.
Field<Record> time_row(std::string_view key, const Rows<TimeResult>& rows, const FieldText& text) {
  return {key, text,
          [&rows](const Record& r) { return is_timed(r) ? write_object(rows, *r.time) : Json(nullptr); },
          [&rows](Record& r, const Json& json) {
            if (json.is_null() && r.time) throw FieldFault("is null and time_s is not");
            if (json.is_null()) return;
            if (!r.time) r.time.emplace();
            read_object(rows, json, *r.time);
          },
          [&rows] { return fields::nullable(object_type(rows)); }};
}

template <typename T>
Field<Record> timed_field(std::string_view key, std::optional<T> Record::*member, const FieldText& text) {
  Field<Record> row = field(key, member, text);
  row.get = [get = row.get](const Record& r) { return is_timed(r) ? get(r) : Json(nullptr); };
  return row;
}

Rows<Record> communication_rows() {
  return {
      field("bytes_per_step", &Record::bytes_per_step,
            {.meaning = "given to collectives in one step; of a pipeline, in its busiest stage",
             .unit = "bytes",
             .null = "the degree does not divide the layer",
             .column = "*",
             .least = 0}),
      field("data_path", &Record::data_path,
            {.meaning =
                 "`host`: operands lie in host memory; `device`: on a device, where the library takes them; "
                 "`staged`: on a device, copied to pinned host memory and back",
             .null = "the case did not run, or has no collective",
             .words = "host staged device"}),
      field("collectives", &Record::collectives,
            {.meaning = "one entry for each kind of collective in a step",
             .null = "the workload has none",
             .column = "collective_kinds"}),
  };
}

Rows<Record> quality_rows() {
  return {
      field("converged", &Record::converged,
            {.meaning = "the interval of the step got under `target_ci` in every epoch",
             .null = "nothing was sampled",
             .column = "*"}),
      field("warnings", &Record::warnings,
            {.meaning = "docs/methodology.md, section 8, lists them",
             .null = "there is none",
             .column = "warnings[code]"}),
  };
}

// What stopped the case, which case it is, and what describes the machine.
Rows<Record> identity_rows() {
  Field<Record> point = {"case",
                         {.meaning = "what was measured: the fields of docs/sweep-file.md, one value each"},
                         [](const Record& r) { return case_to_json(r.point); },
                         [](Record& r, const Json& json) { r.point = case_from_json(json); },
                         [] { return object_type(case_fields()); }};
  constexpr std::string_view kEnvironmentName = R"(^environment(-[0-9]+)?\.json$)";
  return {
      field("id", &Record::id,
            {.meaning = "name of the case and of the file", .column = "*", .least = 1, .pattern = "^[^/]+$"}),
      field("status", &Record::status, {.meaning = "how the case ended", .column = "*"}),
      field("reason_code", &Record::reason_code,
            {.meaning = "what stopped the case, for programs; `combination`: values that make no sense "
                        "together at any "
                        "degree, such as heads that do not divide hidden_size",
             .null = "the case is ok",
             .column = "*"}),
      field(
          "reason", &Record::reason,
          {.meaning = "the same for people, with what would work", .null = "the case is ok", .column = "*"}),
      field(
          "label", &Record::label,
          {.meaning = "`--label`: the user's name for the fabric; empty when none was given", .column = "*"}),
      field("environment", &Record::environment,
            {.meaning = "file of the result folder that describes the machine", .pattern = kEnvironmentName}),
      field("earlier_environments", &Record::earlier_environments,
            {.meaning = "those of earlier epochs, where a launch that resumed the case found another machine "
                        "or launch: "
                        "warning `mixed_launches`",
             .null = "one launch measured all of it",
             .pattern = kEnvironmentName}),
      field("started_at", &Record::started_at,
            {.meaning = "when the case (its first epoch) started, ISO 8601",
             .unit = "UTC",
             .column = "*",
             .pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}),
      field("duration_s", &Record::duration_s,
            {.meaning = "wall time of the case, all phases", .unit = "s", .least = 0}),
      field("phases_s", &Record::phases_s,
            {.meaning = "the same by phase: set-up, fill, verification, warm-up, sampling",
             .unit = "s",
             .null = "no phase was reached",
             .least = 0}),
      group<Record>("epochs",
                    {field("done", &Record::epochs_done,
                           {.meaning = "finished passes over the whole sweep", .least = 0}),
                     field("planned", &Record::epochs_planned, {.meaning = "asked for", .least = 1})}),
      std::move(point),
  };
}

Rows<Record> result_rows() {
  return {
      time_row("time_s", summary_rows(),
               {.meaning = "times of a step: see \"Times\"", .unit = "s", .null = "the case is not ok"}),
      field("model", &Record::model,
            {.meaning = "the model whose shape the case has", .null = "the case has no model", .since = 2}),
      derived("tokens_per_s", &Record::tokens_per_s,
              {.meaning = "tokens of a step, batch_size x sequence_length, over its median",
               .unit = "tokens/s",
               .null = "the workload is no whole model and has one microbatch, or the case is not ok",
               .column = "*",
               .since = 2}),
      derived("padded_vocabulary", &Record::padded_vocabulary,
              {.meaning = "rows of the vocabulary on all ranks together, with those that make vocab_size "
                          "divisible by tp_degree: they are in the weights, the FLOP and the bytes",
               .null = "the workload has no vocabulary",
               .column = "*",
               .least = 1,
               .since = 2}),
      field("memory_bytes", &Record::memory,
            {.meaning = "bytes on one rank", .null = "the case failed before anything was known of it"}),
      field(
          "model_memory", &Record::model_memory,
          {.meaning =
               "an estimate by published formulas for training the whole model, on one rank: see \"The whole "
               "model\"",
           .null =
               "a case without a model that is no `block`, and when the degree does not divide the model"}),
      group<Record>(
          "compute",
          {field("flop_per_rank", &Record::flop_per_rank,
                 {.meaning =
                      "of one step, forward and backward, by formula: 2mnk for each matrix product; of a "
                      "pipeline, of its busiest stage",
                  .unit = "FLOP",
                  .null = "the degree does not divide the layer",
                  .column = "*",
                  .least = 0}),
           field("gflops_per_rank", &Record::gflops_per_rank,
                 {.meaning = "over the median compute time",
                  .unit = "1e9 FLOP/s",
                  .null = "no such time, or no matrix product",
                  .column = "*",
                  .least = 0}),
           field("kernels", &Record::kernels,
                 {.meaning = "that library `onednn` multiplied by, on the first rank",
                  .null = "the library does not tell (that of `openblas` stands in environment.json), or the "
                          "case is not ok",
                  .since = 2}),
           field("packing", &Record::packing,
                 {.meaning = "of the weights, before the clock ran, on the first rank",
                  .null = "`weight_layout` is not packed, or the case is not ok",
                  .since = 2})}),
      group<Record>("communication", communication_rows()),
      field("scaling", &Record::scaling,
            {.meaning = "against the case of one rank, of the same sweep: its baseline"}),
      timed_field("clock", &Record::clock,
                  {.meaning = "what it was timed by, and how well: see \"Clocks\"",
                   .null = "the case is not ok, or its record is of schema 1",
                   .since = 2}),
      field("reference", &Record::reference,
            {.meaning =
                 "fixed work beside the case, all its ranks at once, one entry per epoch: what changes its "
                 "time is the machine (docs/methodology.md, \"The machine\")",
             .null = "tensors are on a device, or the case is not ok",
             .since = 2}),
      timed_field("throttling", &Record::throttling,
                  {.meaning = "what CPU quotas of cgroups did while the case was sampled, on the host where "
                              "they did most; of several epochs the sum",
                   .null = "no cgroup counts, or the case is not ok",
                   .since = 2}),
      timed_field("rank_results", &Record::rank_results,
                  {.meaning = "what each rank did while the last epoch was sampled",
                   .null = "the case is not ok, or its record is older",
                   .since = 2}),
      timed_field(
          "device", &Record::device,
          {.meaning =
               "the GPUs of the ranks that worked, right before and right after the samples of the last "
               "epoch: the slowest of their clocks, the highest temperature",
           .null = "without a device, where its driver does not tell, and when the case is not ok"}),
      timed_field("overlap", &Record::overlap,
                  {.meaning = "what `overlap_chunks` was worth: see \"Overlap\"",
                   .null = "the case does not overlap, has one rank, or is not ok"}),
      timed_field("pipeline", &Record::pipeline,
                  {.meaning = "what its stages did, and the bubble, measured and replayed (docs/pipeline.md)",
                   .null = "pp_degree is 1, or the case is not ok",
                   .since = 2}),
      timed_field("composed", &Record::composed,
                  {.meaning = "what was measured of a model of which only `scaled_from_layers` layers ran: "
                              "times, memory and FLOP of the record are composed from it (docs/models.md)",
                   .null = "all layers ran, or the case is not ok",
                   .since = 2}),
      field("verification", &Record::verification,
            {.meaning = "how the output was compared with the unsharded reference"}),
      group<Record>("quality", quality_rows()),
      field("ranks", &Record::ranks, {.meaning = "who took part"}),
      time_row("samples_s", sample_rows(),
               {.meaning = "every sample of each quantity of `time_s`, oldest first, all epochs in a row; "
                           "null where that is",
                .unit = "s",
                .null = "the case is not ok"}),
  };
}

// A record of another version may name a workload that this one does not know.
bool has_workload(const Record& record, bool UsedFields::*uses) {
  const Workload* workload = find_workload(record.point.workload);
  return workload != nullptr && workload->uses.*uses;
}

constexpr std::string_view kSchemaStem = "tpbench.record/";

// The number behind "tpbench.record/".
int schema_of(const Json& document) {
  if (!document.is_object()) fields::refuse("an object", document);
  const std::string said = document.value("schema", Json(nullptr)).dump();
  for (int schema = 1; schema <= kRecordSchema; ++schema) {
    if (said == fmt::format("\"{}{}\"", kSchemaStem, schema)) return schema;
  }
  throw std::runtime_error(fmt::format("schema is {}, not {}{} or older: another version of tpbench wrote it",
                                       said, kSchemaStem, kRecordSchema));
}

// What an older schema did not know is not in its records, though the program does.
void drop_newer(Json& object, const Json& type, int schema) {
  if (object.is_array() && type.contains("items")) {
    for (Json& element : object) drop_newer(element, type.at("items"), schema);
  }
  if (!object.is_object() || !type.contains("properties")) return;
  for (const auto& entry : type.at("properties").items()) {
    if (entry.value().value("x-since", 1) > schema)
      object.erase(entry.key());
    else if (object.contains(entry.key()))
      drop_newer(object[entry.key()], entry.value(), schema);
  }
}

}  // namespace

std::optional<double> Record::tokens_per_s() const {
  const bool is_told =
      has_workload(*this, &UsedFields::whole_model) || point.layout.pp > 1 || point.microbatches > 1;
  if (!is_timed(*this) || !is_told) return std::nullopt;
  return static_cast<double>(point.tokens()) / time->step.summary.median;
}

std::optional<std::int64_t> Record::padded_vocabulary() const {
  if (!has_workload(*this, &UsedFields::vocabulary)) return std::nullopt;
  return point.whole_shape().padded_vocabulary();
}

std::span<const Field<Record>> record_fields() {
  static const Rows<Record> kRows = [] {
    Rows<Record> rows = identity_rows();
    for (Field<Record>& row : result_rows()) rows.push_back(std::move(row));
    return rows;
  }();
  return kRows;
}

Json record_to_json(const Record& record, std::span<const Field<Record>> rows) {
  Json json = {{"schema", fmt::format("{}{}", kSchemaStem, record.schema)}};
  try {
    json.update(write_object(rows, record));
  } catch (const FieldFault& fault) {
    throw std::invalid_argument(fmt::format("record: {}", fault.what()));
  }
  if (record.schema < kRecordSchema) drop_newer(json, object_type(rows), record.schema);
  return json;
}

Record record_from_json(const Json& document, std::span<const Field<Record>> rows) {
  try {
    Record record;
    record.schema = schema_of(document);
    read_object(rows, document, record);
    if ((record.status == Status::ok) != record.time.has_value()) {
      throw FieldFault(fmt::format("is {}null and the status is \"{}\"", record.time ? "not " : "",
                                   name_of(record.status)),
                       "/time_s");
    }
    return record;
  } catch (const FieldFault& fault) {
    throw std::runtime_error(
        fmt::format("not a {}{} document: {}", kSchemaStem, kRecordSchema, fault.what()));
  }
}

}  // namespace tpbench
