#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "base/json.hpp"
#include "result/record.hpp"
#include "result/record_tables.hpp"

namespace tpbench {
namespace {

// A value of `object` at `key`; the message of a failure names the key.
const Json& at(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end()) {
    throw std::runtime_error(fmt::format("not a {} document: \"{}\" is missing", kRecordSchema, key));
  }
  return *found;
}

template <typename Read>
auto read_at(const Json& object, const char* key, Read&& read) {
  const Json& value = at(object, key);
  try {
    return read(value);
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(fmt::format("not a {} document: \"{}\": {}", kRecordSchema, key, error.what()));
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
  if (!fits)
    throw std::runtime_error(fmt::format("not a {} document: unexpected {}", kRecordSchema, value.dump()));
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
    throw std::runtime_error(fmt::format("not a {} document: \"{}\" is \"{}\"", kRecordSchema, key, *name));
  return value;
}

template <typename E>
E read_required_name(const Json& object, const char* key) {
  const auto value = read_name<E>(object, key);
  if (!value) throw std::runtime_error(fmt::format("not a {} document: \"{}\" is null", kRecordSchema, key));
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

Record record_from_json(const Json& document) {
  Record record;
  std::string schema;
  read(document, "schema", schema);
  if (schema != kRecordSchema) {
    throw std::runtime_error(
        fmt::format("schema is \"{}\", not {}: another version of tpbench wrote it", schema, kRecordSchema));
  }
  read(document, "id", record.id);
  record.status = read_required_name<Status>(document, "status");
  record.reason_code = read_name<ReasonCode>(document, "reason_code");
  read(document, "reason", record.reason);
  read(document, "label", record.label);
  read(document, "environment", record.environment);
  read(document, "earlier_environments", record.earlier_environments);
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
        fmt::format("not a {} document: a case has times if and only if it is ok", kRecordSchema));
  }
  return record;
}

}  // namespace tpbench
