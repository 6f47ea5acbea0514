#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "advisor/plan_model.hpp"
#include "report/render.hpp"

namespace CLI {
class App;
}

namespace tpbench {

/// What was typed behind `tpbench plan`.
struct PlanLine {
  std::vector<std::string> measured;  ///< result folders, probe files, calibration files
  std::string model;
  std::int64_t ranks = 0;
  std::optional<std::int64_t> ranks_per_host;   ///< empty: as measured
  std::optional<std::int64_t> memory_per_rank;  ///< bytes
  std::optional<Goal> goal;                     ///< empty: latency, or training
  bool trains = false;
  std::optional<std::int64_t> batch_size, sequence_length, context_length;
  std::optional<Recompute> recompute;
  bool sequence_parallel = false;
  std::vector<std::string> fabrics;
  std::optional<DType> dtype;               ///< empty: the one that was measured
  std::string backend, library, algorithm;  ///< likewise
  std::optional<std::int64_t> threads_per_rank;
  std::string next_sweep;  ///< file to write; empty: none
  Format format = Format::table;
};

void add_plan_options(CLI::App& app, PlanLine& line);
/// Rules that concern several options. Throws CLI::ValidationError.
void check_plan_options(const PlanLine& line);

}  // namespace tpbench
