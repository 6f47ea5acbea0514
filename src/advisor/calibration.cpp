#include "advisor/calibration.hpp"

#include <fmt/format.h>

#include <span>

#include "base/fields.hpp"

// A calibration as a document: each key stands once, in the tables below.
namespace tpbench {

template <typename Owner>
using CalibrationRows = std::vector<Field<Owner>>;

#define TPBENCH_CALIBRATION_ROWS(Owner, ...)                   \
  template <>                                                  \
  std::span<const Field<Owner>> fields_of<Owner>() {           \
    static const CalibrationRows<Owner> kRows = {__VA_ARGS__}; \
    return kRows;                                              \
  }

TPBENCH_CALIBRATION_ROWS(MeasuredRange,
                         field("low", &MeasuredRange::low, {.meaning = "the smallest", .least = 0}),
                         field("high", &MeasuredRange::high, {.meaning = "the largest", .least = 0}))

TPBENCH_CALIBRATION_ROWS(
    WorkRate, field("kind", &WorkRate::kind, {.meaning = "what is computed: docs/advisor.md, \"Compute\""}),
    field("call_s", &WorkRate::call_s, {.meaning = "c, of each call", .unit = "s", .least = 0}),
    field("s_per_flop", &WorkRate::s_per_flop, {.meaning = "1/R", .unit = "s", .least = 0}),
    field("s_per_byte", &WorkRate::s_per_byte, {.meaning = "1/W", .unit = "s", .least = 0}),
    field("s_per_byte_beyond", &WorkRate::s_per_byte_beyond,
          {.meaning = "more, of bytes that no cache holds", .unit = "s", .least = 0}),
    field("tokens", &WorkRate::tokens, {.meaning = "rows that were measured"}),
    field("width", &WorkRate::width, {.meaning = "sides of a rank's weights, or columns, likewise"}),
    field("points", &WorkRate::points, {.meaning = "measured times that it is a part of", .least = 0}))

TPBENCH_CALIBRATION_ROWS(Crowding,
                         field("ranks_per_host", &Crowding::ranks_per_host,
                               {.meaning = "that computed beside each other", .least = 1}),
                         field("factor", &Crowding::factor,
                               {.meaning = "of the times, over the fewest ranks that were measured",
                                .least = 0}))

TPBENCH_CALIBRATION_ROWS(CopyRate,
                         field("ranks_per_host", &CopyRate::ranks_per_host,
                               {.meaning = "that copied at once, one thread each", .least = 1}),
                         field("s_per_byte", &CopyRate::s_per_byte,
                               {.meaning = "that a rank reads or writes", .unit = "s", .least = 0}))

TPBENCH_CALIBRATION_ROWS(
    ComputeFit, field("backend", &ComputeFit::backend, {.meaning = "of the cases", .least = 1}),
    field("library", &ComputeFit::library, {.meaning = "that multiplies matrices", .least = 1}),
    field("dtype", &ComputeFit::dtype, {.meaning = "of the cases"}),
    field("threads_per_rank", &ComputeFit::threads, {.meaning = "of the cases", .least = 1}),
    field("cache", &ComputeFit::cache, {.meaning = "of the cases"}),
    field("pages", &ComputeFit::pages, {.meaning = "of tensors on the host, in the cases", .since = 2}),
    field("rates", &ComputeFit::rates, {.meaning = "one for each kind of work"}),
    field("cache_bytes", &ComputeFit::cache_bytes,
          {.meaning = "that a rank finds again in the next step; 0: one rate for all bytes",
           .unit = "bytes",
           .least = 0}),
    field("crowding", &ComputeFit::crowding, {.meaning = "of ranks on one host, ascending"}),
    field("copies", &ComputeFit::copies,
          {.meaning = "the reference copy beside the cases, of ranks on one host, ascending",
           .null = "the cases ran none beside them",
           .since = 2}),
    field("points", &ComputeFit::points,
          {.meaning = "measured times: the compute of one half of a pass each", .least = 0}),
    field("median_deviation", &ComputeFit::median_deviation,
          {.meaning = "|model - measured| / measured over the points", .least = 0}),
    field("max_deviation", &ComputeFit::max_deviation, {.meaning = "the largest of them", .least = 0}))

TPBENCH_CALIBRATION_ROWS(
    CostPiece,
    field("from_bytes", &CostPiece::from_bytes, {.meaning = "smallest size", .unit = "bytes", .least = 1}),
    field("to_bytes", &CostPiece::to_bytes, {.meaning = "largest size", .unit = "bytes", .least = 1}),
    field("points", &CostPiece::points, {.meaning = "measured", .least = 0}),
    within(&CostPiece::model,
           field("alpha_s", &AlphaBeta::alpha_s, {.meaning = "start-up", .unit = "s", .least = 0})),
    within(&CostPiece::model, field("beta_s_per_byte", &AlphaBeta::beta_s_per_byte,
                                    {.meaning = "of each byte", .unit = "s", .least = 0})),
    within(&CostPiece::model, field("median_deviation", &AlphaBeta::median_deviation,
                                    {.meaning = "|model - measured| / measured", .least = 0})),
    within(&CostPiece::model,
           field("max_deviation", &AlphaBeta::max_deviation, {.meaning = "the largest of them", .least = 0})))

TPBENCH_CALIBRATION_ROWS(
    CollectiveRate, field("op", &CollectiveRate::op, {.meaning = "the collective"}),
    field("algorithm", &CollectiveRate::algorithm, {.meaning = "that carried it", .least = 1}),
    field("reach", &CollectiveRate::reach, {.meaning = "whether its ranks were on one host"}),
    field("ranks", &CollectiveRate::ranks, {.meaning = "that took part", .least = 2}),
    field("hosts", &CollectiveRate::hosts, {.meaning = "that they were on", .least = 1}),
    field("source", &CollectiveRate::source, {.meaning = "what was measured, or that it is described"}),
    field("pieces", &CollectiveRate::pieces, {.meaning = "time of a call by its size, ascending"}))

TPBENCH_CALIBRATION_ROWS(
    BoundaryRate, field("reach", &BoundaryRate::reach, {.meaning = "whether both ranks were on one host"}),
    field("source", &BoundaryRate::source, {.meaning = "what was measured, or that it is described"}),
    field("pieces", &BoundaryRate::pieces, {.meaning = "time of a message by its size, ascending"}))

TPBENCH_CALIBRATION_ROWS(
    Spread,
    field("compute", &Spread::compute,
          {.meaning = "9 of 10 times lie within median / (1 + s) and median * (1 + s)", .least = 0}),
    field("communication", &Spread::communication, {.meaning = "likewise", .least = 0}),
    field("small_messages", &Spread::small_messages,
          {.meaning = "likewise of collectives of less than 64 KiB", .least = 0}),
    field("launches", &Spread::launches, {.meaning = "of a launch as a whole, beside both", .least = 0}),
    field("launches_measured", &Spread::launches_measured,
          {.meaning = "false: an assumption, as there was one launch of each case"}),
    field("other_degrees", &Spread::other_degrees,
          {.meaning = "beside all, on as many ranks as no case was measured on", .least = 0}))

TPBENCH_CALIBRATION_ROWS(
    PredictionError,
    field("quantity", &PredictionError::quantity,
          {.meaning = "compute, communication, small messages or step", .least = 1}),
    field("left_out", &PredictionError::left_out,
          {.meaning = "of the fit that predicted: nothing, a shape or a degree", .least = 1}),
    field("cases", &PredictionError::cases, {.meaning = "predicted", .least = 0}),
    field("median", &PredictionError::median, {.meaning = "|predicted - measured| / measured", .least = 0}),
    field("largest", &PredictionError::largest, {.meaning = "of them", .least = 0}))

TPBENCH_CALIBRATION_ROWS(
    CalibrationSource, field("path", &CalibrationSource::path, {.meaning = "as it was typed"}),
    field("label", &CalibrationSource::label, {.meaning = "of the fabric, if it has one"}),
    field("measured_by", &CalibrationSource::measured_by, {.meaning = "schema of its documents"}),
    field("cases", &CalibrationSource::cases, {.meaning = "used, or paths of a probe", .least = 0}),
    field("hosts", &CalibrationSource::hosts, {.meaning = "names"}),
    field("cpu", &CalibrationSource::cpu, {.meaning = "model; empty when unknown"}),
    field("compute_library", &CalibrationSource::compute_library, {.meaning = "version and kernels"}),
    field("mpi", &CalibrationSource::mpi, {.meaning = "implementation and version"}),
    field("ranks_per_host", &CalibrationSource::ranks_per_host,
          {.meaning = "the most; 0 when unknown", .least = 0}),
    field("cores_per_host", &CalibrationSource::cores_per_host,
          {.meaning = "of the first host; 0 when unknown", .least = 0}))

TPBENCH_CALIBRATION_ROWS(LeftOut, field("file", &LeftOut::file, {.meaning = "that was read"}),
                         field("key", &LeftOut::key, {.meaning = "of it; empty: all of it"}),
                         field("why", &LeftOut::why, {.meaning = "it was not used"}))

TPBENCH_CALIBRATION_ROWS(
    Calibration, field("sources", &Calibration::sources, {.meaning = "what the numbers come from"}),
    field("compute", &Calibration::compute, {.meaning = "rates of work"}),
    field("collectives", &Calibration::collectives, {.meaning = "times of collectives"}),
    field("boundaries", &Calibration::boundaries, {.meaning = "times of messages between stages"}),
    field("degrees", &Calibration::degrees,
          {.meaning = "ranks of the measured cases, ascending", .least = 1}),
    field("other_s_per_step", &Calibration::other_s_per_step,
          {.meaning = "of a step, beside compute and collectives", .unit = "s", .least = 0}),
    field("spread", &Calibration::spread, {.meaning = "how far times may lie from what is predicted"}),
    field("errors", &Calibration::errors, {.meaning = "of predictions of what was measured"}),
    field("left_out", &Calibration::left_out, {.meaning = "what was read and not used, and why"}))

#undef TPBENCH_CALIBRATION_ROWS

namespace {

constexpr std::string_view kCalibrationSchema = "tpbench.calibration/1";

template <typename Rates>
void check_pieces(const Rates& rates, std::string_view key) {
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const std::string where = fmt::format("/{}/{}/pieces", key, i);
    if (rates[i].pieces.empty()) throw FieldFault("is empty: a rate has one piece or more", where);
    std::int64_t after = 0;
    for (const CostPiece& piece : rates[i].pieces) {
      if (piece.from_bytes <= after || piece.to_bytes < piece.from_bytes)
        throw FieldFault("are not in ascending order of size", where);
      after = piece.to_bytes;
    }
  }
}

void check_compute(const std::vector<ComputeFit>& compute) {
  for (std::size_t i = 0; i < compute.size(); ++i) {
    for (std::size_t j = 0; j < compute[i].copies.size(); ++j) {
      if (compute[i].copies[j].s_per_byte == 0)
        throw FieldFault("is 0: no copy takes no time",
                         fmt::format("/compute/{}/copies/{}/s_per_byte", i, j));
    }
    for (std::size_t j = 0; j < compute[i].rates.size(); ++j) {
      const WorkRate& rate = compute[i].rates[j];
      const std::string where = fmt::format("/compute/{}/rates/{}", i, j);
      if (rate.call_s == 0 && rate.s_per_flop == 0 && rate.s_per_byte == 0 && rate.s_per_byte_beyond == 0 &&
          rate.points == 0)
        throw FieldFault("is 0 throughout and was not measured: no work takes no time", where);
      for (std::size_t before = 0; before < j; ++before) {
        if (compute[i].rates[before].kind == rate.kind)
          throw FieldFault(fmt::format("is a second rate of {}", name_of(rate.kind)), where + "/kind");
      }
    }
  }
}

}  // namespace

namespace {
constexpr std::string_view kPacked = "_packed";
}

std::string library_of(const Case& point) {
  if (point.backend != "cpu") return "cublas";
  std::string library = point.library.value_or("openblas");
  if (point.weight_layout == WeightLayout::packed) library += kPacked;
  return library;
}

void set_library(Case& point, std::string_view library) {
  const bool packs = library.ends_with(kPacked);
  if (packs) library.remove_suffix(kPacked.size());
  if (point.backend != "cpu") return;
  point.library = library;
  point.weight_layout = packs ? WeightLayout::packed : WeightLayout::plain;
}

Json calibration_to_json(const Calibration& calibration) {
  Json document = {{"schema", kCalibrationSchema}};
  document.update(write_object(fields_of<Calibration>(), calibration));
  return document;
}

Calibration calibration_from_json(const Json& document) {
  if (!document.is_object()) throw FieldFault("must be an object");
  const auto schema = document.find("schema");
  if (schema == document.end()) throw FieldFault("is missing: this is no calibration of tpbench", "/schema");
  if (*schema != kCalibrationSchema)
    throw FieldFault(fmt::format("is {}; this version reads {}", schema->dump(), kCalibrationSchema),
                     "/schema");
  Calibration calibration;
  read_object(fields_of<Calibration>(), document, calibration);
  check_compute(calibration.compute);
  check_pieces(calibration.collectives, "collectives");
  check_pieces(calibration.boundaries, "boundaries");
  return calibration;
}

Json calibration_schema() {
  Json type = object_type(fields_of<Calibration>());
  type["required"].insert(type["required"].begin(), "schema");
  Json properties = {{"schema", {{"const", kCalibrationSchema}}}};
  properties.update(type["properties"]);
  type["properties"] = properties;
  Json schema = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                 {"title", kCalibrationSchema},
                 {"description",
                  "What measurements say of a machine, from which tpbench predict and tpbench plan put times "
                  "together (docs/advisor.md). Generated from the table of its keys."}};
  schema.update(type);
  return schema;
}

}  // namespace tpbench
