#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "bench/team.hpp"
#include "measure/event.hpp"

namespace tpbench {

/// One step of this rank, to be looked at.
struct KeptStep {
  std::size_t sample = 0;  ///< which
  double step_s = 0;       ///< of all ranks
  std::int64_t start_ns = 0;
  std::vector<EventKey> events;
  std::vector<EventSpan> spans;
};

/// What one rank of a pipeline (all that share its layers as one) did in each step, in seconds. Parts of a
/// step add up to it.
struct StageSamples {
  std::vector<double> compute_s, communication_s;  ///< of its stages; in collectives
  std::vector<double> boundary_s;    ///< transfer of what came from other stages, and calls that send
  std::vector<double> input_wait_s;  ///< for input to be sent, or for a place to be free
  std::vector<double> end_wait_s;    ///< from its last event to the end of the step
  std::vector<double> other_s;
};

/// Work of one stage for one microbatch, the mean over the microbatches of a step; what there is not is
/// empty.
struct StageWorkSamples {
  std::vector<double> forward_s;
  std::vector<double> input_gradient_s;  ///< or the whole backward, where it is not split
  std::vector<double> weight_gradient_s;
  /// Transfer of its input, and of the gradient of its output, when it waited for them.
  std::vector<double> input_transfer_s, gradient_transfer_s;
};

/// The same for all of a pipeline. Empty on one stage.
struct PipelineSamples {
  std::vector<StageSamples> ranks;
  std::vector<StageWorkSamples> stages;  ///< p v of them
  std::vector<double>
      first_microbatch_s;            ///< from the start until the first microbatch has left the last stage
  std::vector<double> microbatch_s;  ///< from one to the next there; empty with one microbatch
  /// A gradient's parts on their way between the first rank and the last; empty where none are.
  std::vector<double> exchange_s;
  std::size_t busiest = 0;               ///< of `ranks`: computes and communicates longest
  std::int64_t messages = 0, bytes = 0;  ///< sent in a step by all ranks that hold one shard
  [[nodiscard]] bool is_there() const { return !ranks.empty(); }
};

/// Samples of one case, in seconds, reduced over the ranks (docs/methodology.md, section 1); the same on all
/// ranks but for what is called own or kept. Per sample: step = compute + communication + other; in a
/// pipeline, the parts are those of its busiest rank, and its boundary_s, input_wait_s and end_wait_s belong
/// to the sum.
struct Samples {
  /// How often what happens in a model's layers counts: of one that is scaled from fewer layers, all of them
  /// over those that run. Set before any step is reduced.
  double layers_scale = 1;
  std::vector<double> measured_step_s;  ///< the steps as they ran, where that is not 1
  std::vector<double> step_s, compute_s, communication_s, other_s;
  /// What ranks wait at the collectives for the last one to come: the largest over the ranks, and the mean;
  /// and the largest of what of it late ranks cause, as not all of them leave the collective before at one
  /// moment.
  std::vector<double> wait_s, wait_mean_s, imbalance_s;
  PipelineSamples pipeline;
  /// The step by the hosts' clocks; empty where step_s is by them.
  std::vector<double> host_step_s;
  /// What of compute_s and communication_s belongs to each half of the pass, by Direction.
  std::array<std::vector<double>, kDirections> compute_by_half_s, communication_by_half_s;
  /// The part of communication_s that each kind of collective has; the same kinds on all ranks.
  struct OfCollective {
    EventKey kind;
    std::vector<double> communication_s;
    std::int64_t differences = 0;  ///< of times of different clocks that one step's value is the sum of
  };
  std::vector<OfCollective> collectives;
  /// Of communication_s, and of its halves.
  std::int64_t differences = 0;
  std::array<std::int64_t, kDirections> differences_by_half = {};
  std::int64_t message_differences = 0;  ///< of a pipeline: the same of what passes between stages
  /// False: some group has several clocks that are not aligned. Then step_s is the longest rank's own step,
  /// and there are no communication_s, wait_s and other_s.
  bool communication_known = true;
  /// On devices, per sample: how well times of two ranks are known to each other.
  std::vector<double> device_error_s;
  /// Transfers between devices that were too short for that: the last starter's own duration stands for them.
  std::int64_t own_durations = 0;
  bool converged = false;
  /// Of this rank alone, over all samples: what differs between ranks. How often it came last stands for each
  /// kind of `collectives`.
  double own_compute_s = 0;
  std::optional<double> own_wait_s;  ///< at collectives; empty in a pipeline, and where clocks cannot tell
  std::vector<std::int64_t> own_last;
  KeptStep kept;  ///< likewise; the step nearest to the median, of those that were held at the end
  /// Steps that were to begin at one moment, and those of them that some rank heard of too late: run again.
  std::int64_t starts = 0, late_starts = 0;
};

/// Whether the median of `samples_s`, each a sum of so many differences between clocks of different hosts
/// that are known to each other to `error_s`, is at least three times what may be wrong with it.
bool is_above_error(const std::vector<double>& samples_s, std::int64_t differences, double error_s);

/// Fills `kept` from the steps that were reduced last.
void keep_median_step(const TracedSteps& traced, Samples& samples);

/// Reduces the steps of this rank over the ranks of the team and appends them to `samples`. Ranks of a group
/// may have different events: they are matched by their keys. Collective over the team's active ranks.
void reduce_steps(const TracedSteps& traced, const Team& team, Samples& samples);

}  // namespace tpbench
