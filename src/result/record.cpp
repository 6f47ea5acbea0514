#include "result/record.hpp"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/json.hpp"

namespace tpbench {
namespace {

constexpr std::string_view kSchema = "tpbench.record/1";

// The quantities of a case by name: one row each, for times and samples, written and read.
using QuantityMember = std::pair<const char*, Quantity TimeResult::*>;
constexpr QuantityMember kQuantities[] = {{"step", &TimeResult::step},
                                          {"compute", &TimeResult::compute},
                                          {"communication", &TimeResult::communication},
                                          {"wait", &TimeResult::wait},
                                          {"other", &TimeResult::other},
                                          {"forward_compute", &TimeResult::forward_compute},
                                          {"backward_compute", &TimeResult::backward_compute},
                                          {"forward_communication", &TimeResult::forward_communication},
                                          {"backward_communication", &TimeResult::backward_communication},
                                          {"host_step", &TimeResult::host_step}};

// The halves of a forward pass were not measured, nor a second clock on the host.
bool is_measured(const Quantity& quantity) { return !quantity.samples_s.empty(); }

// ---- writing

// A number the schema requires. A clock or a formula that gave none is a fault of the program, not a result.
Json finite(double value, std::string_view key) {
  if (!std::isfinite(value))
    throw std::invalid_argument(fmt::format("record: {} is not a finite number", key));
  return value;
}

Json finite_or_null(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

template <typename E>
Json name_or_null(const std::optional<E>& value) {
  return value ? Json(name_of(*value)) : Json(nullptr);
}

Json finite_list(const std::vector<double>& values, std::string_view key) {
  Json list = Json::array();
  for (const double value : values) list.push_back(finite(value, key));
  return list;
}

Json quantity_to_json(const Quantity& quantity, const char* name) {
  const Summary& s = quantity.summary;
  Json json;
  json["median"] = finite(s.median, name);
  json["ci95"] = s.ci95 ? Json{finite((*s.ci95)[0], name), finite((*s.ci95)[1], name)} : Json(nullptr);
  json["mean"] = finite(s.mean, name);
  json["min"] = finite(s.min, name);
  json["max"] = finite(s.max, name);
  json["p95"] = finite(s.p95, name);
  json["p99"] = finite(s.p99, name);
  json["samples"] = s.samples;
  json["outliers"] = s.outliers;
  json["epoch_medians"] = finite_list(quantity.epoch_medians_s, name);
  return json;
}

Json times_to_json(const TimeResult& time) {
  Json json;
  for (const auto& [name, member] : kQuantities) {
    json[name] = is_measured(time.*member) ? quantity_to_json(time.*member, name) : Json(nullptr);
  }
  return json;
}

Json samples_to_json(const TimeResult& time) {
  Json json;
  for (const auto& [name, member] : kQuantities) {
    const Quantity& quantity = time.*member;
    json[name] = is_measured(quantity) ? finite_list(quantity.samples_s, name) : Json(nullptr);
  }
  return json;
}

Json memory_to_json(const MemoryResult& memory) {
  Json json;
  for (const auto& [category, name] : EnumNames<Category>::table) {
    json[std::string(name)] = memory.by_category ? Json((*memory.by_category)[category]) : Json(nullptr);
  }
  json["peak"] = json_or_null(memory.peak);
  json["predicted_peak"] = json_or_null(memory.predicted_peak);
  json["unsharded_peak"] = memory.unsharded_peak;
  json["process_peak_rss"] = json_or_null(memory.process_peak_rss);
  json["process_base_rss"] = json_or_null(memory.process_base_rss);
  json["device_in_use"] = json_or_null(memory.device_in_use);
  json["device_base"] = json_or_null(memory.device_base);
  return json;
}

Json model_memory_to_json(const ModelMemory& memory) {
  return {{"layers", memory.layers},
          {"parameters", memory.parameters},
          {"embedding_parameters", json_or_null(memory.embedding_parameters)},
          {"parameters_per_rank", memory.parameters_per_rank},
          {"parameters_and_optimizer_bytes", memory.parameters_and_optimizer_bytes},
          {"activation_bytes", memory.activation_bytes},
          {"activation_bytes_sequence_parallel", memory.activation_bytes_sequence_parallel},
          {"activation_bytes_selective", memory.activation_bytes_selective},
          {"assumptions", memory.assumptions},
          {"source", memory.source}};
}

Json communication_to_json(const Record& record) {
  Json collectives = Json::array();
  for (const CollectiveResult& collective : record.collectives) {
    Json json;
    json["op"] = name_of(collective.op);
    json["bytes"] = collective.bytes;
    json["calls_per_step"] = collective.calls_per_step;
    json["direction"] = name_of(collective.direction);
    json["ranks"] = collective.ranks;
    json["algbw_gb_per_s"] = finite_or_null(collective.algbw_gb_per_s);
    json["busbw_gb_per_s"] = finite_or_null(collective.busbw_gb_per_s);
    collectives.push_back(std::move(json));
  }
  return {{"collectives", std::move(collectives)},
          {"bytes_per_step", json_or_null(record.bytes_per_step)},
          {"data_path", json_or_null(record.data_path)}};
}

Json scaling_to_json(const ScalingResult& scaling) {
  return {{"baseline_id", json_or_null(scaling.baseline_id)},
          {"speedup", finite_or_null(scaling.speedup)},
          {"efficiency", finite_or_null(scaling.efficiency)},
          {"memory_reduction", finite_or_null(scaling.memory_reduction)},
          {"weights_reduction", finite_or_null(scaling.weights_reduction)},
          {"communication_fraction", finite_or_null(scaling.communication_fraction)}};
}

// The measured parts by name; the others follow from them.
using OverlapMember = std::pair<const char*, double OverlapResult::*>;
constexpr OverlapMember kOverlapParts[] = {{"compute_s", &OverlapResult::compute_s},
                                           {"chunked_compute_s", &OverlapResult::chunked_compute_s},
                                           {"communication_s", &OverlapResult::communication_s},
                                           {"serial_s", &OverlapResult::serial_s},
                                           {"overlapped_s", &OverlapResult::overlapped_s},
                                           {"overlapped_compute_s", &OverlapResult::overlapped_compute_s},
                                           {"exposed_s", &OverlapResult::exposed_s}};

Json overlap_to_json(const OverlapResult& overlap) {
  Json json;
  for (const auto& [name, member] : kOverlapParts) json[name] = finite(overlap.*member, name);
  json["hidden_fraction"] = finite_or_null(overlap.hidden_fraction());
  json["split_loss_s"] = finite(overlap.split_loss_s(), "split_loss_s");
  json["contention_s"] = finite(overlap.contention_s(), "contention_s");
  return json;
}

Json verification_to_json(const VerificationResult& verification) {
  return {{"method", verification.method},
          {"rows_checked", verification.rows_checked},
          {"max_relative_error", finite_or_null(verification.max_relative_error)},
          {"tolerance", finite_or_null(verification.tolerance)},
          {"operations_checked", verification.operations_checked},
          {"worst_operation", finite_or_null(verification.worst_operation)},
          {"passed", json_or_null(verification.passed)}};
}

Json moment_to_json(const DeviceMoment& moment) {
  return {{"sm_clock_mhz", moment.sm_clock_mhz},
          {"memory_clock_mhz", moment.memory_clock_mhz},
          {"temperature_c", moment.temperature_c},
          {"throttle_reasons", moment.throttle_reasons}};
}

Json device_to_json(const DeviceResult& device) {
  return {{"before", moment_to_json(device.before)}, {"after", moment_to_json(device.after)}};
}

Json quality_to_json(const Record& record) {
  Json warnings = Json::array();
  for (const Warning& warning : record.warnings) {
    warnings.push_back({{"code", warning.code}, {"message", warning.message}});
  }
  return {{"converged", json_or_null(record.converged)}, {"warnings", std::move(warnings)}};
}

Json ranks_to_json(const RankInfo& ranks) {
  return {{"world", ranks.world},
          {"group", ranks.group},
          {"replicas", ranks.replicas},
          {"hosts", ranks.hosts},
          {"cpus", ranks.cpus}};
}

Json phases_to_json(const std::map<std::string, double>& phases) {
  Json json = Json::object();
  for (const auto& [phase, seconds] : phases) json[phase] = finite(seconds, phase);
  return json;
}

// ---- reading

// A value of `object` at `key`; the message of a failure names the key.
const Json& at(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end()) {
    throw std::runtime_error(fmt::format("not a {} document: \"{}\" is missing", kSchema, key));
  }
  return *found;
}

template <typename Read>
auto read_at(const Json& object, const char* key, Read&& read) {
  const Json& value = at(object, key);
  try {
    return read(value);
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(fmt::format("not a {} document: \"{}\": {}", kSchema, key, error.what()));
  }
}

// nlohmann converts between numbers and booleans silently; a record with 1 for true is no record.
template <typename T>
T strict(const Json& value) {
  bool fits = true;
  if constexpr (std::is_same_v<T, bool>)
    fits = value.is_boolean();
  else if constexpr (std::is_integral_v<T>)
    fits = value.is_number_integer();
  else if constexpr (std::is_floating_point_v<T>)
    fits = value.is_number();
  if (!fits) throw std::runtime_error(fmt::format("not a {} document: unexpected {}", kSchema, value.dump()));
  return value.get<T>();
}

template <typename T>
void read(const Json& object, const char* key, T& value) {
  value = read_at(object, key, [](const Json& json) { return strict<T>(json); });
}

template <typename T>
void read(const Json& object, const char* key, std::optional<T>& value) {
  value = read_at(object, key, [](const Json& json) {
    return json.is_null() ? std::optional<T>() : std::optional<T>(strict<T>(json));
  });
}

template <typename E>
std::optional<E> read_name(const Json& object, const char* key) {
  std::optional<std::string> name;
  read(object, key, name);
  if (!name) return std::nullopt;
  const auto value = enum_from_name<E>(*name);
  if (!value)
    throw std::runtime_error(fmt::format("not a {} document: \"{}\" is \"{}\"", kSchema, key, *name));
  return value;
}

template <typename E>
E read_required_name(const Json& object, const char* key) {
  const auto value = read_name<E>(object, key);
  if (!value) throw std::runtime_error(fmt::format("not a {} document: \"{}\" is null", kSchema, key));
  return *value;
}

Quantity quantity_from_json(const Json& times, const Json& samples, const char* name) {
  const Json& json = at(times, name);
  Quantity quantity;
  Summary& s = quantity.summary;
  read(json, "median", s.median);
  read(json, "ci95", s.ci95);
  read(json, "mean", s.mean);
  read(json, "min", s.min);
  read(json, "max", s.max);
  read(json, "p95", s.p95);
  read(json, "p99", s.p99);
  read(json, "samples", s.samples);
  read(json, "outliers", s.outliers);
  read(json, "epoch_medians", quantity.epoch_medians_s);
  read(samples, name, quantity.samples_s);
  return quantity;
}

std::optional<TimeResult> times_from_json(const Json& document) {
  const Json& times = at(document, "time_s");
  if (times.is_null()) return std::nullopt;
  TimeResult result;
  for (const auto& [name, member] : kQuantities) {
    if (!at(times, name).is_null())
      result.*member = quantity_from_json(times, at(document, "samples_s"), name);
  }
  return result;
}

std::optional<MemoryResult> memory_from_json(const Json& json) {
  if (json.is_null()) return std::nullopt;
  MemoryResult memory;
  MemoryByCategory counted;
  bool all = true;
  for (const auto& [category, name] : EnumNames<Category>::table) {
    std::optional<std::int64_t> bytes;
    read(json, std::string(name).c_str(), bytes);
    counted[category] = bytes.value_or(0);
    all = all && bytes.has_value();
  }
  if (all) memory.by_category = counted;
  read(json, "peak", memory.peak);
  read(json, "predicted_peak", memory.predicted_peak);
  read(json, "unsharded_peak", memory.unsharded_peak);
  read(json, "process_peak_rss", memory.process_peak_rss);
  read(json, "process_base_rss", memory.process_base_rss);
  read(json, "device_in_use", memory.device_in_use);
  read(json, "device_base", memory.device_base);
  return memory;
}

std::optional<ModelMemory> model_memory_from_json(const Json& json) {
  if (json.is_null()) return std::nullopt;
  ModelMemory memory;
  read(json, "layers", memory.layers);
  read(json, "parameters", memory.parameters);
  read(json, "embedding_parameters", memory.embedding_parameters);
  read(json, "parameters_per_rank", memory.parameters_per_rank);
  read(json, "parameters_and_optimizer_bytes", memory.parameters_and_optimizer_bytes);
  read(json, "activation_bytes", memory.activation_bytes);
  read(json, "activation_bytes_sequence_parallel", memory.activation_bytes_sequence_parallel);
  read(json, "activation_bytes_selective", memory.activation_bytes_selective);
  read(json, "assumptions", memory.assumptions);
  read(json, "source", memory.source);
  return memory;
}

void read_communication(const Json& json, Record& record) {
  read(json, "bytes_per_step", record.bytes_per_step);
  read(json, "data_path", record.data_path);
  for (const Json& item : at(json, "collectives")) {
    CollectiveResult collective;
    collective.op = read_required_name<CollectiveOp>(item, "op");
    read(item, "bytes", collective.bytes);
    read(item, "calls_per_step", collective.calls_per_step);
    collective.direction = read_required_name<Direction>(item, "direction");
    read(item, "ranks", collective.ranks);
    read(item, "algbw_gb_per_s", collective.algbw_gb_per_s);
    read(item, "busbw_gb_per_s", collective.busbw_gb_per_s);
    record.collectives.push_back(collective);
  }
}

ScalingResult scaling_from_json(const Json& json) {
  ScalingResult scaling;
  read(json, "baseline_id", scaling.baseline_id);
  read(json, "speedup", scaling.speedup);
  read(json, "efficiency", scaling.efficiency);
  read(json, "memory_reduction", scaling.memory_reduction);
  read(json, "weights_reduction", scaling.weights_reduction);
  read(json, "communication_fraction", scaling.communication_fraction);
  return scaling;
}

VerificationResult verification_from_json(const Json& json) {
  VerificationResult verification;
  read(json, "method", verification.method);
  read(json, "rows_checked", verification.rows_checked);
  read(json, "max_relative_error", verification.max_relative_error);
  read(json, "tolerance", verification.tolerance);
  read(json, "operations_checked", verification.operations_checked);
  read(json, "worst_operation", verification.worst_operation);
  read(json, "passed", verification.passed);
  return verification;
}

DeviceMoment moment_from_json(const Json& json) {
  DeviceMoment moment;
  read(json, "sm_clock_mhz", moment.sm_clock_mhz);
  read(json, "memory_clock_mhz", moment.memory_clock_mhz);
  read(json, "temperature_c", moment.temperature_c);
  read(json, "throttle_reasons", moment.throttle_reasons);
  return moment;
}

void read_quality(const Json& json, Record& record) {
  read(json, "converged", record.converged);
  for (const Json& item : at(json, "warnings")) {
    Warning warning;
    read(item, "code", warning.code);
    read(item, "message", warning.message);
    record.warnings.push_back(std::move(warning));
  }
}

RankInfo ranks_from_json(const Json& json) {
  RankInfo ranks;
  read(json, "world", ranks.world);
  read(json, "group", ranks.group);
  read(json, "replicas", ranks.replicas);
  read(json, "hosts", ranks.hosts);
  read(json, "cpus", ranks.cpus);
  return ranks;
}

}  // namespace

Json record_to_json(const Record& record) {
  const bool timed = record.status == Status::ok && record.time.has_value();
  Json json;
  json["schema"] = kSchema;
  json["id"] = record.id;
  json["status"] = name_of(record.status);
  json["reason_code"] = name_or_null(record.reason_code);
  json["reason"] = json_or_null(record.reason);
  json["label"] = record.label;
  json["environment"] = record.environment;
  json["started_at"] = record.started_at;
  json["duration_s"] = finite(record.duration_s, "duration_s");
  json["phases_s"] = phases_to_json(record.phases_s);
  json["epochs"] = {{"done", record.epochs_done}, {"planned", record.epochs_planned}};
  json["case"] = case_to_json(record.point);
  json["time_s"] = timed ? times_to_json(*record.time) : Json(nullptr);
  json["memory_bytes"] = record.memory ? memory_to_json(*record.memory) : Json(nullptr);
  json["model_memory"] = record.model_memory ? model_memory_to_json(*record.model_memory) : Json(nullptr);
  json["compute"] = {{"flop_per_rank", finite_or_null(record.flop_per_rank)},
                     {"gflops_per_rank", finite_or_null(record.gflops_per_rank)}};
  json["communication"] = communication_to_json(record);
  json["scaling"] = scaling_to_json(record.scaling);
  json["device"] = timed && record.device ? device_to_json(*record.device) : Json(nullptr);
  json["overlap"] = timed && record.overlap ? overlap_to_json(*record.overlap) : Json(nullptr);
  json["verification"] = verification_to_json(record.verification);
  json["quality"] = quality_to_json(record);
  json["ranks"] = ranks_to_json(record.ranks);
  json["samples_s"] = timed ? samples_to_json(*record.time) : Json(nullptr);
  return json;
}

Record record_from_json(const Json& document) {
  Record record;
  std::string schema;
  read(document, "schema", schema);
  if (schema != kSchema) {
    throw std::runtime_error(
        fmt::format("schema is \"{}\", not {}: another version of tpbench wrote it", schema, kSchema));
  }
  read(document, "id", record.id);
  record.status = read_required_name<Status>(document, "status");
  record.reason_code = read_name<ReasonCode>(document, "reason_code");
  read(document, "reason", record.reason);
  read(document, "label", record.label);
  read(document, "environment", record.environment);
  read(document, "started_at", record.started_at);
  read(document, "duration_s", record.duration_s);
  read(document, "phases_s", record.phases_s);
  read(at(document, "epochs"), "done", record.epochs_done);
  read(at(document, "epochs"), "planned", record.epochs_planned);
  record.point = read_at(document, "case", case_from_json);
  record.time = times_from_json(document);
  record.memory = memory_from_json(at(document, "memory_bytes"));
  record.model_memory = model_memory_from_json(at(document, "model_memory"));
  read(at(document, "compute"), "flop_per_rank", record.flop_per_rank);
  read(at(document, "compute"), "gflops_per_rank", record.gflops_per_rank);
  read_communication(at(document, "communication"), record);
  record.scaling = scaling_from_json(at(document, "scaling"));
  if (const Json& device = at(document, "device"); !device.is_null())
    record.device = {moment_from_json(at(device, "before")), moment_from_json(at(device, "after"))};
  if (const Json& overlap = at(document, "overlap"); !overlap.is_null()) {
    record.overlap.emplace();
    for (const auto& [name, member] : kOverlapParts) read(overlap, name, (*record.overlap).*member);
  }
  record.verification = verification_from_json(at(document, "verification"));
  read_quality(at(document, "quality"), record);
  record.ranks = ranks_from_json(at(document, "ranks"));
  if ((record.status == Status::ok) != record.time.has_value()) {
    throw std::runtime_error(
        fmt::format("not a {} document: a case has times if and only if it is ok", kSchema));
  }
  return record;
}

}  // namespace tpbench
