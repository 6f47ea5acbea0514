#pragma once

#include <array>
#include <optional>

#include "bench/case_machine.hpp"
#include "bench/sampling.hpp"
#include "result/record.hpp"

namespace tpbench {

/// The other ways to make the outputs of a case that overlaps, sampled in turn with the overlapped one, so
/// that a machine that changes its speed changes all of them.
class OverlapVariants {
 public:
  /// The references outlive it. Runs each way once, untimed. Collective over the team.
  OverlapVariants(CaseMachine& machine, const StepRunner& runner, const Team& team, Heartbeat& heartbeat);

  /// Wall time of a step of each way, seconds, the slowest rank: as it was run once.
  [[nodiscard]] double sample_s() const { return sample_s_; }

  /// Samples `steps` steps of each way. Collective.
  void sample(std::size_t steps);

  /// What the overlap was worth, beside the samples of the overlapped steps. Collective.
  [[nodiscard]] OverlapResult finish(const Samples& overlapped);

 private:
  struct Variant {
    OverlapForm form;
    Trace trace;
    Samples samples;
  };

  void reduce(Variant& variant);

  CaseMachine& machine_;
  const StepRunner& runner_;
  const Team& team_;
  double sample_s_ = 0;
  std::array<Variant, 3> variants_;
};

}  // namespace tpbench
