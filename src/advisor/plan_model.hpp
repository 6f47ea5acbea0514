#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "advisor/model_times.hpp"
#include "sweep/case.hpp"

// All ways to split a whole model over ranks: which fit, and what they take.
namespace tpbench {

/// What of inference is to be best: the time of a token, or tokens a second.
enum class Goal { latency, throughput };

struct PlanQuestion {
  ModelTask task;
  std::int64_t ranks = 1;
  std::optional<std::int64_t> memory_per_rank;  ///< bytes; empty: all fits
  Goal goal = Goal::latency;                    ///< of inference; training is for tokens a second
  bool sequence_parallel = false;
  Recompute recompute = Recompute::selective;
  PlanMachine machine;
};

/// Which part of a step is longest.
enum class Dominant { compute, communication, waiting, optimizer, gradients };

/// Tokens a second: where 9 of 10 lie.
struct PredictedRate {
  double median = 0, low = 0, high = 0;
};

/// One way to split. What does not fit has no times.
struct SplitPlan {
  ModelSplit split;
  Placement placement = Placement::packed;  ///< of pp_degree 1; else tp_inside or pp_inside
  std::optional<Boundary> boundary;         ///< the faster one, where there are two
  std::int64_t tp_hosts = 1;                ///< that the ranks of a layer are on
  Reach stage_reach = Reach::inside_host;   ///< of messages between stages
  std::int64_t largest_stage = 0;           ///< that holds most
  StageMemory memory;                       ///< of a rank of it
  std::int64_t over_bytes = 0;              ///< 0: it fits

  PredictedTime step;                  ///< training: a step; inference: prefill, the time to first token
  std::optional<PredictedTime> token;  ///< inference: one token more for each sequence
  PredictedRate tokens_per_s;          ///< of all copies: trained on; of inference, made
  /// Parts of `step`, and of `token` where there is one and latency or throughput is of it.
  double compute_s = 0, communication_s = 0;  ///< of the stage that has most to do
  double waiting_s = 0;                       ///< bubble and messages between stages
  double optimizer_s = 0, gradients_s = 0;    ///< training: update, and sums over copies of the model
  Dominant dominant = Dominant::compute;
  std::vector<Beyond> beyond;

  [[nodiscard]] std::int64_t ranks() const { return split.layout.ranks(); }
  [[nodiscard]] bool extrapolated() const { return !beyond.empty(); }
};

/// Why the times of some splits cannot be told: what would have to be measured.
struct Untold {
  std::string why;
  std::size_t splits = 0;
};

struct ModelPlan {
  PlanQuestion question;
  std::vector<SplitPlan> fitting;    ///< best first
  std::vector<SplitPlan> too_large;  ///< of each TP x PP of which nothing fits, the smallest; smallest first
  std::vector<Untold> untold;        ///< that fit, and of which nothing like it was measured
  std::size_t tried = 0;             ///< splits that the model can have
  std::size_t measured_cases = 0;    ///< that the calibration comes from
  /// Of `fitting`, the best of each TP x PP whose range reaches into that of the best: `fitting.front()` and
  /// those that it cannot be told from.
  std::vector<std::size_t> contenders;
};

/// The quantity that splits are ranked by, and its range: seconds, or tokens a second.
struct Merit {
  double median = 0, best = 0, worst = 0;
  bool less_is_better = false;
};
Merit merit_of(const PlanQuestion& question, const SplitPlan& plan);

/// Places in `fitting` of the best split of each TP x PP, best first.
std::vector<std::size_t> best_of_each(const ModelPlan& plan);

/// Throws AdvisorError when what was measured tells of none that fits, or the model has no split.
ModelPlan plan_model(const Calibration& calibration, const PlanQuestion& question);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Goal, {tpbench::Goal::latency, "latency"},
                   {tpbench::Goal::throughput, "throughput"});
TPBENCH_ENUM_NAMES(tpbench::Dominant, {tpbench::Dominant::compute, "compute"},
                   {tpbench::Dominant::communication, "communication"},
                   {tpbench::Dominant::waiting, "waiting"}, {tpbench::Dominant::optimizer, "optimizer"},
                   {tpbench::Dominant::gradients, "gradients"});
