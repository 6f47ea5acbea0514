#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <string_view>

#include "base/json.hpp"
#include "result/record.hpp"
#include "result/record_tables.hpp"

namespace tpbench {
namespace {

// The halves of a forward pass were not measured, nor a second clock on the host.
bool is_measured(const Quantity& quantity) { return !quantity.samples_s.empty(); }

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

}  // namespace

Json record_to_json(const Record& record) {
  const bool timed = record.status == Status::ok && record.time.has_value();
  Json json;
  json["schema"] = kRecordSchema;
  json["id"] = record.id;
  json["status"] = name_of(record.status);
  json["reason_code"] = name_or_null(record.reason_code);
  json["reason"] = json_or_null(record.reason);
  json["label"] = record.label;
  json["environment"] = record.environment;
  json["earlier_environments"] = record.earlier_environments;
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

}  // namespace tpbench
