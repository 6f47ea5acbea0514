#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "base/json.hpp"
#include "result/record.hpp"
#include "result/record_tables.hpp"

namespace tpbench {
namespace {

// A value for a message, not too long for a line.
std::string shown(const Json& value) {
  constexpr std::size_t kMostBytes = 60;
  const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= kMostBytes ? text : text.substr(0, kMostBytes) + "...";
}

// What is wrong, and where: pointers grow on the way out of nested objects.
struct KeyFault {
  std::string pointer;
  std::string rule;
};

// A value of `object` at `key`.
const Json& at(const Json& object, const char* key) {
  if (!object.is_object()) throw KeyFault{"", fmt::format("must be an object, not {}", shown(object))};
  const auto found = object.find(key);
  if (found == object.end()) throw KeyFault{fmt::format("/{}", key), "is missing"};
  return *found;
}

// Reads what stands at `key` with `read`, whose faults become faults below that key.
template <typename Read>
auto read_at(const Json& object, const char* key, Read&& read) {
  const Json& value = at(object, key);
  try {
    return read(value);
  } catch (const KeyFault& fault) {
    throw KeyFault{fmt::format("/{}{}", key, fault.pointer), fault.rule};
  } catch (const nlohmann::json::exception& error) {
    throw KeyFault{fmt::format("/{}", key), fmt::format("cannot be read: {}", error.what())};
  }
}

// The elements of the list at `key`, one after the other.
template <typename Read>
void for_each_at(const Json& object, const char* key, Read&& read) {
  read_at(object, key, [&](const Json& list) {
    if (!list.is_array()) throw KeyFault{"", fmt::format("must be a list, not {}", shown(list))};
    for (std::size_t i = 0; i < list.size(); ++i) {
      try {
        read(list[i]);
      } catch (const KeyFault& fault) {
        throw KeyFault{fmt::format("/{}{}", i, fault.pointer), fault.rule};
      }
    }
  });
}

template <typename T>
constexpr bool is_list = false;
template <typename T>
constexpr bool is_list<std::vector<T>> = true;
template <typename T, std::size_t n>
constexpr bool is_list<std::array<T, n>> = true;

template <typename T>
constexpr const char* name_of_type() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_integral_v<T>) return "a whole number";
  if constexpr (std::is_floating_point_v<T>) return "a number";
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  if constexpr (is_list<T>) return "a list";
  return "an object";
}

template <typename T>
bool fits(const Json& value) {
  if constexpr (std::is_same_v<T, bool>) return value.is_boolean();
  if constexpr (std::is_integral_v<T>) return value.is_number_integer();
  if constexpr (std::is_floating_point_v<T>) return value.is_number();
  if constexpr (std::is_same_v<T, std::string>) return value.is_string();
  if constexpr (is_list<T>) {
    return value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& element) {
             return fits<typename T::value_type>(element);
           });
  }
  return value.is_object();
}

// nlohmann converts between numbers and booleans silently; a record with 1 for true is no record.
template <typename T>
T strict(const Json& value) {
  if (fits<T>(value)) return value.get<T>();
  if constexpr (is_list<T>) {
    throw KeyFault{"", fmt::format("must be a list of which each is {}, not {}",
                                   name_of_type<typename T::value_type>(), shown(value))};
  }
  throw KeyFault{"", fmt::format("must be {}, not {}", name_of_type<T>(), shown(value))};
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
    throw KeyFault{fmt::format("/{}", key), fmt::format("is \"{}\", which is none of its values", *name)};
  return value;
}

template <typename E>
E read_required_name(const Json& object, const char* key) {
  const auto value = read_name<E>(object, key);
  if (!value) throw KeyFault{fmt::format("/{}", key), "must not be null"};
  return *value;
}

Quantity quantity_from_json(const Json& json) {
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
  return quantity;
}

std::optional<TimeResult> times_from_json(const Json& document) {
  if (at(document, "time_s").is_null()) return std::nullopt;
  TimeResult result;
  read_at(document, "time_s", [&](const Json& times) {
    for (const auto& [name, member] : kQuantities) {
      if (!at(times, name).is_null()) result.*member = read_at(times, name, quantity_from_json);
    }
  });
  read_at(document, "samples_s", [&](const Json& samples) {
    for (const auto& [name, member] : kQuantities) {
      std::optional<std::vector<double>> list;
      read(samples, name, list);
      const bool summarised = (result.*member).summary.samples > 0;
      if (summarised != list.has_value())
        throw KeyFault{fmt::format("/{}", name),
                       fmt::format("is {}null and that of time_s is not", list.has_value() ? "not " : "")};
      if (list) (result.*member).samples_s = std::move(*list);
    }
  });
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
  for_each_at(json, "collectives", [&](const Json& item) {
    CollectiveResult collective;
    collective.op = read_required_name<CollectiveOp>(item, "op");
    read(item, "bytes", collective.bytes);
    read(item, "calls_per_step", collective.calls_per_step);
    collective.direction = read_required_name<Direction>(item, "direction");
    read(item, "ranks", collective.ranks);
    read(item, "algbw_gb_per_s", collective.algbw_gb_per_s);
    read(item, "busbw_gb_per_s", collective.busbw_gb_per_s);
    record.collectives.push_back(collective);
  });
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
  for_each_at(json, "warnings", [&](const Json& item) {
    Warning warning;
    read(item, "code", warning.code);
    read(item, "message", warning.message);
    record.warnings.push_back(std::move(warning));
  });
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

Record read_document(const Json& document) {
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
  read_at(document, "epochs", [&](const Json& epochs) {
    read(epochs, "done", record.epochs_done);
    read(epochs, "planned", record.epochs_planned);
  });
  record.point = read_at(document, "case", case_from_json);
  record.time = times_from_json(document);
  record.memory = read_at(document, "memory_bytes", memory_from_json);
  record.model_memory = read_at(document, "model_memory", model_memory_from_json);
  read_at(document, "compute", [&](const Json& compute) {
    read(compute, "flop_per_rank", record.flop_per_rank);
    read(compute, "gflops_per_rank", record.gflops_per_rank);
  });
  read_at(document, "communication", [&](const Json& json) { read_communication(json, record); });
  record.scaling = read_at(document, "scaling", scaling_from_json);
  read_at(document, "device", [&](const Json& device) {
    if (device.is_null()) return;
    record.device = {read_at(device, "before", moment_from_json), read_at(device, "after", moment_from_json)};
  });
  read_at(document, "overlap", [&](const Json& overlap) {
    if (overlap.is_null()) return;
    record.overlap.emplace();
    for (const auto& [name, member] : kOverlapParts) read(overlap, name, (*record.overlap).*member);
  });
  record.verification = read_at(document, "verification", verification_from_json);
  read_at(document, "quality", [&](const Json& json) { read_quality(json, record); });
  record.ranks = read_at(document, "ranks", ranks_from_json);
  if ((record.status == Status::ok) != record.time.has_value()) {
    throw KeyFault{"/time_s", fmt::format("is {}null and the status is \"{}\"", record.time ? "not " : "",
                                          name_of(record.status))};
  }
  return record;
}

}  // namespace

Record record_from_json(const Json& document) {
  try {
    return read_document(document);
  } catch (const KeyFault& fault) {
    throw std::runtime_error(fmt::format("not a {} document: {}{}{}", kRecordSchema, fault.pointer,
                                         fault.pointer.empty() ? "" : ": ", fault.rule));
  }
}

}  // namespace tpbench
