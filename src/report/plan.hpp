#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "report/plan_replay.hpp"
#include "report/render.hpp"
#include "sweep/case.hpp"
#include "sweep/settings.hpp"

namespace tpbench {

/// What is known of a case before it runs. Sizes in bytes, on one rank.
struct PlannedCase {
  std::string id;
  Case point;
  std::optional<std::string> skip_reason;  ///< it can never run
  /// What it would cost is empty where the workload cannot be split so, and there where a backend or an
  /// algorithm cannot run it.
  std::optional<std::int64_t> predicted_peak;
  std::int64_t unsharded_peak = 0;  ///< the same at tp_degree 1
  std::optional<double> flop_per_rank;
  std::optional<std::int64_t> bytes_per_step;  ///< given to collectives in one step
  /// Of a pipeline: the peak of each of its ranks, and what those that hold one shard send each other in a
  /// step.
  std::vector<std::int64_t> stage_peaks = {};
  std::optional<std::int64_t> messages_per_step = {}, message_bytes_per_step = {};
  std::optional<PlannedReplay> replay = {};  ///< likewise, where earlier records have its times
};

/// Says why a case cannot run on any machine for reasons that this room does not know; empty when it may.
using WhyNever = std::function<std::optional<std::string>(const Case&)>;

/// What a case costs at a degree, on its backend.
using CostOf = std::function<Cost(const Case&, const Layout&)>;

/// One entry per case, in the given order. `earlier`: records that may have the times of pipelines.
std::vector<PlannedCase> plan_cases(std::span<const Case> cases, const WhyNever& why_never,
                                    const CostOf& cost_of, std::span<const Record> earlier = {});

/// What `--dry-run` shows: the cases in the given order and, in the table, the totals and how long it may
/// take. With `memory_per_rank`, in bytes, also what fits: a pipeline by its largest stage.
std::string render_plan(Format format, std::span<const Case> cases, const MeasureSettings& measure,
                        const WhyNever& why_never, const CostOf& cost_of,
                        std::optional<std::int64_t> memory_per_rank = {},
                        std::span<const Record> earlier = {});

}  // namespace tpbench
