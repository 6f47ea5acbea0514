#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "advisor/plan_model.hpp"
#include "base/fields.hpp"

namespace tpbench {

/// One way to split as documents have it. Seconds, bytes; `_low` and `_high` hold 9 of 10.
struct PlanRow {
  std::int64_t place = 0;
  std::int64_t tp_degree = 1, pp_degree = 1, copies = 1, ranks = 1;
  std::int64_t microbatches = 1, microbatch_size = 1;
  std::optional<std::string> schedule;
  std::int64_t virtual_stages = 1;
  std::string placement;
  std::optional<std::string> boundary;
  bool sequence_parallel = false;
  bool fits = true, is_contender = false;
  std::int64_t over_bytes = 0, largest_stage = 0, memory_bytes = 0;
  std::int64_t weights_bytes = 0, gradients_bytes = 0, optimizer_bytes = 0, kv_cache_bytes = 0,
               activations_bytes = 0, buffers_bytes = 0;
  std::int64_t tp_hosts = 1;
  std::optional<std::string> stage_messages;
  std::optional<double> step_s, step_low_s, step_high_s;
  std::optional<double> first_token_s, first_token_low_s, first_token_high_s;
  std::optional<double> token_s, token_low_s, token_high_s;
  std::optional<double> tokens_per_s, tokens_per_s_low, tokens_per_s_high;
  std::optional<double> compute_s, communication_s, waiting_s, optimizer_s, gradients_s;
  std::optional<std::string> dominant;
  bool extrapolated = false;
  std::vector<std::string> beyond;
};

/// All that fit, best first, then what does not.
std::vector<PlanRow> plan_rows(const ModelPlan& plan);

/// The document of docs/plan.schema.json.
Json plan_document(const ModelPlan& plan, const Calibration& calibration,
                   const std::vector<std::string>& answer);

template <>
std::span<const Field<PlanRow>> fields_of();

}  // namespace tpbench
