#include "report/csv.hpp"

#include <cmath>
#include <functional>
#include <vector>

#include "base/json.hpp"
#include "report/axes.hpp"

namespace tpbench {
namespace {

// One column of summary.csv. The value is a scalar; null is an empty cell.
struct Column {
  std::string name;
  std::function<Json(const Record&)> get;
};

Json number_or_null(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

void add_case_columns(std::vector<Column>& columns) {
  for (const CaseField& field : case_fields()) {
    columns.push_back({std::string(field.key), [&field](const Record& r) { return field.get(r.point); }});
  }
}

void add_time_columns(std::vector<Column>& columns, const std::string& name, Quantity TimeResult::*quantity) {
  const auto add = [&](const std::string& suffix,
                       std::function<std::optional<double>(const Summary&)> value) {
    columns.push_back({name + suffix, [quantity, value](const Record& r) {
                         return r.time ? number_or_null(value(((*r.time).*quantity).summary)) : Json(nullptr);
                       }});
  };
  add("_median_s", [](const Summary& s) { return s.median; });
  add("_ci95_low_s", [](const Summary& s) { return s.ci95 ? std::optional((*s.ci95)[0]) : std::nullopt; });
  add("_ci95_high_s", [](const Summary& s) { return s.ci95 ? std::optional((*s.ci95)[1]) : std::nullopt; });
}

// Medians of the halves of a sum, which only pass forward_backward has.
void add_half_columns(std::vector<Column>& columns) {
  const auto add = [&](std::string name, Quantity TimeResult::*half) {
    columns.push_back({std::move(name), [half](const Record& r) {
                         const bool measured = r.time && !((*r.time).*half).samples_s.empty();
                         return measured ? number_or_null(((*r.time).*half).summary.median) : Json(nullptr);
                       }});
  };
  add("forward_compute_median_s", &TimeResult::forward_compute);
  add("backward_compute_median_s", &TimeResult::backward_compute);
  add("forward_communication_median_s", &TimeResult::forward_communication);
  add("backward_communication_median_s", &TimeResult::backward_communication);
}

void add_memory_columns(std::vector<Column>& columns) {
  for (const auto& [category, name] : EnumNames<Category>::table) {
    columns.push_back({std::string(name) + "_bytes", [category](const Record& r) {
                         return r.memory && r.memory->by_category ? Json((*r.memory->by_category)[category])
                                                                  : Json(nullptr);
                       }});
  }
  const auto add = [&](std::string name, std::optional<std::int64_t> MemoryResult::*member) {
    columns.push_back({std::move(name), [member](const Record& r) {
                         return r.memory ? json_or_null((*r.memory).*member) : Json(nullptr);
                       }});
  };
  add("peak_bytes", &MemoryResult::peak);
  add("predicted_peak_bytes", &MemoryResult::predicted_peak);
  columns.push_back({"unsharded_peak_bytes", [](const Record& r) {
                       return r.memory ? Json(r.memory->unsharded_peak) : Json(nullptr);
                     }});
  add("process_peak_rss_bytes", &MemoryResult::process_peak_rss);
  add("process_base_rss_bytes", &MemoryResult::process_base_rss);
  add("device_in_use_bytes", &MemoryResult::device_in_use);
}

// The estimate for the whole model; its other parts are in the record.
void add_model_memory_columns(std::vector<Column>& columns) {
  const auto add = [&](std::string name, std::int64_t ModelMemory::*member) {
    columns.push_back({std::move(name), [member](const Record& r) {
                         return r.model_memory ? Json((*r.model_memory).*member) : Json(nullptr);
                       }});
  };
  add("model_parameters_and_optimizer_bytes", &ModelMemory::parameters_and_optimizer_bytes);
  add("model_activation_bytes", &ModelMemory::activation_bytes);
  add("model_activation_sequence_parallel_bytes", &ModelMemory::activation_bytes_sequence_parallel);
  add("model_activation_selective_bytes", &ModelMemory::activation_bytes_selective);
}

// One row has room for one kind of collective; where a step has several, the record tells them apart.
const CollectiveResult* only_collective(const Record& record) {
  return record.collectives.size() == 1 ? &record.collectives.front() : nullptr;
}

void add_collective_columns(std::vector<Column>& columns) {
  columns.push_back({"collective_kinds", [](const Record& r) { return Json(r.collectives.size()); }});
  const auto add = [&](std::string name, std::function<Json(const CollectiveResult&)> value) {
    columns.push_back({std::move(name), [value](const Record& r) {
                         const CollectiveResult* collective = only_collective(r);
                         return collective == nullptr ? Json(nullptr) : value(*collective);
                       }});
  };
  add("collective_op", [](const CollectiveResult& c) { return Json(name_of(c.op)); });
  add("collective_bytes", [](const CollectiveResult& c) { return Json(c.bytes); });
  add("collective_calls_per_step", [](const CollectiveResult& c) { return Json(c.calls_per_step); });
  add("algbw_gb_per_s", [](const CollectiveResult& c) { return number_or_null(c.algbw_gb_per_s); });
  add("busbw_gb_per_s", [](const CollectiveResult& c) { return number_or_null(c.busbw_gb_per_s); });
}

void add_scaling_columns(std::vector<Column>& columns) {
  columns.push_back({"baseline_id", [](const Record& r) { return json_or_null(r.scaling.baseline_id); }});
  const auto add = [&](std::string name, std::optional<double> ScalingResult::*member) {
    columns.push_back(
        {std::move(name), [member](const Record& r) { return number_or_null(r.scaling.*member); }});
  };
  add("speedup", &ScalingResult::speedup);
  add("efficiency", &ScalingResult::efficiency);
  add("memory_reduction", &ScalingResult::memory_reduction);
  add("weights_reduction", &ScalingResult::weights_reduction);
  add("communication_fraction", &ScalingResult::communication_fraction);
  columns.push_back({"overlap_hidden_fraction", [](const Record& r) {
                       return r.overlap ? number_or_null(r.overlap->hidden_fraction()) : Json(nullptr);
                     }});
}

Json warning_codes(const Record& record) {
  std::string codes;
  for (const Warning& warning : record.warnings) codes += (codes.empty() ? "" : ";") + warning.code;
  return codes.empty() ? Json(nullptr) : Json(codes);
}

std::vector<Column> make_columns() {
  std::vector<Column> columns = {
      {"id", [](const Record& r) { return Json(r.id); }},
      {"status", [](const Record& r) { return Json(name_of(r.status)); }},
      {"reason_code",
       [](const Record& r) { return r.reason_code ? Json(name_of(*r.reason_code)) : Json(nullptr); }},
      {"reason", [](const Record& r) { return json_or_null(r.reason); }},
      {"label", [](const Record& r) { return Json(r.label); }},
  };
  add_case_columns(columns);
  add_time_columns(columns, "step", &TimeResult::step);
  add_time_columns(columns, "compute", &TimeResult::compute);
  add_time_columns(columns, "communication", &TimeResult::communication);
  add_time_columns(columns, "wait", &TimeResult::wait);
  add_time_columns(columns, "other", &TimeResult::other);
  add_half_columns(columns);
  columns.push_back({"samples", [](const Record& r) {
                       return r.time ? Json(r.time->step.summary.samples) : Json(nullptr);
                     }});
  columns.push_back({"converged", [](const Record& r) { return json_or_null(r.converged); }});
  add_memory_columns(columns);
  add_model_memory_columns(columns);
  columns.push_back({"flop_per_rank", [](const Record& r) { return number_or_null(r.flop_per_rank); }});
  columns.push_back({"gflops_per_rank", [](const Record& r) { return number_or_null(r.gflops_per_rank); }});
  columns.push_back({"bytes_per_step", [](const Record& r) { return json_or_null(r.bytes_per_step); }});
  add_collective_columns(columns);
  add_scaling_columns(columns);
  columns.push_back({"verification", [](const Record& r) { return Json(r.verification.method); }});
  columns.push_back({"max_relative_error",
                     [](const Record& r) { return number_or_null(r.verification.max_relative_error); }});
  columns.push_back({"tolerance", [](const Record& r) { return number_or_null(r.verification.tolerance); }});
  columns.push_back({"passed", [](const Record& r) { return json_or_null(r.verification.passed); }});
  columns.push_back({"warnings", warning_codes});
  return columns;
}

}  // namespace

std::string csv_cell(const Json& value) {
  if (value.is_null()) return "";
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string csv_line(std::span<const Json> cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) line += (i == 0 ? "" : ",") + csv_cell(cells[i]);
  return line + '\n';
}

std::string render_csv(std::span<const Record> records) {
  static const std::vector<Column> kColumns = make_columns();
  std::vector<Json> cells;
  for (const Column& column : kColumns) cells.emplace_back(column.name);
  std::string text = csv_line(cells);
  for (const Record* record : in_order(records)) {
    cells.clear();
    for (const Column& column : kColumns) cells.push_back(column.get(*record));
    text += csv_line(cells);
  }
  return text;
}

}  // namespace tpbench
