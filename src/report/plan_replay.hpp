#pragma once

#include <optional>
#include <span>
#include <string>

#include "result/record.hpp"

namespace tpbench {

/// What the schedule of a pipeline comes to on paper, with times that were measured before.
struct PlannedReplay {
  double step_s = 0;
  double bubble = 0;
  std::string from;  ///< the case whose times these are
};

/// From the record, among `records`, of the same work on the same layout that is nearest to `point` in
/// microbatches; its schedule and virtual stages may be others. Work and messages of a microbatch are taken
/// to shrink with its size, and a stage's work with its layers. Empty where none has the times: for zb_h1
/// only a case of zb_h1 has them.
std::optional<PlannedReplay> replay_from(const Case& point, std::span<const Record> records);

}  // namespace tpbench
