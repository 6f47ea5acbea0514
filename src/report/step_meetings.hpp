#pragma once

#include <vector>

#include "result/step_trace.hpp"

namespace tpbench {

/// Events of several ranks that are one: the parts of a collective, or a message between stages, whose sender
/// is the first part and whose receiver the second.
struct StepMeeting {
  struct Part {
    const TraceRank* rank = nullptr;
    const TraceEvent* event = nullptr;
  };
  std::vector<Part> parts;
  bool is_message = false;

  /// When its data can begin to move: when the last part of a collective has come, or the sender.
  [[nodiscard]] double ready_s() const;
  /// Whose coming that is.
  [[nodiscard]] const Part& last() const;
};

inline bool is_compute(const TraceEvent& event) { return event.kind == "compute"; }

/// Everything but compute, matched over the ranks by what it is and the how many'th it is of that. Points
/// into `trace`.
std::vector<StepMeeting> meetings_of(const StepTrace& trace);

}  // namespace tpbench
