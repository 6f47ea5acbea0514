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

  /// Samples `steps` steps of each way. Collective.
  void sample(std::size_t steps);

  /// What the overlap was worth, beside the samples of the overlapped steps.
  [[nodiscard]] OverlapResult result(const Samples& overlapped) const;

 private:
  struct Variant {
    Schedule schedule;
    Trace trace;
    Samples samples;
  };

  CaseMachine& machine_;
  const StepRunner& runner_;
  const Team& team_;
  std::array<Variant, 3> variants_;
};

}  // namespace tpbench
