#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/enum_names.hpp"

namespace tpbench {

/// The order of forward and backward microbatches on each rank of a pipeline.
///   gpipe        all forward, then all backward in the same order (arXiv 1811.06965)
///   one_f_one_b  after a warm-up one forward and one backward in turn (arXiv 2104.04473, section 2.2.1)
///   interleaved  the same with several stages a rank (ibid., section 2.2.2; Megatron-LM's order)
///   zb_h1        1f1b whose backward is split: gradients of weights fill what would be waiting
///                (arXiv 2401.10241, section 2.2)
enum class Schedule { gpipe, one_f_one_b, interleaved, zb_h1 };

/// What one rank runs for one microbatch on one of its stages.
enum class StageWork {
  forward,
  backward,        ///< gradients of input and weights together
  input_gradient,  ///< backward split: what the stage before waits for,
  weight_gradient  ///< and what nobody waits for
};

struct PipelineStep {
  StageWork work = StageWork::forward;
  std::int64_t stage = 0;  ///< 0 to p v - 1; stage s is on rank s mod p
  std::int64_t microbatch = 0;
  bool operator==(const PipelineStep&) const = default;
};

/// p ranks with v stages each, and m microbatches.
struct PipelineShape {
  std::int64_t ranks = 1;           ///< p
  std::int64_t virtual_stages = 1;  ///< v; 1 but for `interleaved`
  std::int64_t microbatches = 1;    ///< m
  Schedule schedule = Schedule::one_f_one_b;
  bool trains = true;  ///< false: forward only, in the order of the microbatches
  [[nodiscard]] std::int64_t stages() const { return ranks * virtual_stages; }
};

/// Why there is no such schedule; empty when there is one. What would do: why_impossible().
std::optional<std::string> why_no_schedule(const PipelineShape& shape);

/// What rank `rank` runs, in order. The shape has a schedule.
std::vector<PipelineStep> steps_of_rank(const PipelineShape& shape, std::int64_t rank);

/// Seconds that the work of one microbatch takes on one stage.
struct StageTimes {
  double forward_s = 0;
  double input_gradient_s = 0;   ///< I; a backward in one takes I + W
  double weight_gradient_s = 0;  ///< W
  /// What its input, and the gradient of its output, take on their way from another rank, beside
  /// `boundary_s`.
  double input_transfer_s = 0, gradient_transfer_s = 0;
};

/// One step of a replay.
struct ReplayedStep {
  PipelineStep step;
  double start_s = 0;
  double end_s = 0;
};

struct Replay {
  std::vector<std::vector<ReplayedStep>> ranks;  ///< as `steps_of_rank`
  double step_s = 0;                             ///< until the last rank has ended
  double busiest_s = 0;                          ///< the work of the busiest rank, without waiting
  [[nodiscard]] double bubble() const { return step_s == 0 ? 0 : (step_s - busiest_s) / step_s; }
};

/// Runs the schedule on paper: each rank its steps in order, a step when the rank is free and its input has
/// come. `times` has an entry for each stage; a boundary between two ranks takes `boundary_s`. With
/// `exchange_s` the first rank and the last exchange a message of that time behind their last steps. Throws
/// std::logic_error when the ranks wait for each other in a circle.
Replay replay_pipeline(const PipelineShape& shape, std::span<const StageTimes> times, double boundary_s,
                       std::optional<double> exchange_s = {});

/// `replay_pipeline(...).step_s` without a replay of all microbatches: once a pipeline is full, each round of
/// p of them takes as long as the one before.
double pipeline_step_s(const PipelineShape& shape, std::span<const StageTimes> times, double boundary_s,
                       std::optional<double> exchange_s = {});

/// Microbatches whose forward has run and whose input gradient has not, at most, on this rank, counted over
/// its stages: what it must keep activations of.
std::int64_t most_in_flight(const PipelineShape& shape, std::int64_t rank);
/// The same of one stage.
std::int64_t most_in_flight_on_stage(const PipelineShape& shape, std::int64_t stage);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Schedule, {tpbench::Schedule::gpipe, "gpipe"},
                   {tpbench::Schedule::one_f_one_b, "1f1b"}, {tpbench::Schedule::interleaved, "interleaved"},
                   {tpbench::Schedule::zb_h1, "zb_h1"});
