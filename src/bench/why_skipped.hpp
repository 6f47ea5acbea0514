#pragma once

#include <optional>
#include <span>
#include <string>

#include "comm/communicator.hpp"
#include "result/record.hpp"
#include "sweep/case.hpp"

namespace tpbench {

/// Why a case is not run.
struct Skip {
  ReasonCode code;
  std::string reason;
};

/// Why `point` is not even tried, from what every rank knows: its values make no sense together, its degree
/// does not divide the layer, there are too few ranks, its algorithm cannot carry a group that is so placed.
/// `places` are those of the world's ranks. Empty when it can run.
std::optional<Skip> why_skipped(const Case& point, const GroupPlaces& places);

/// The same wherever its ranks may be, without asking for a launch: what `--dry-run` can know.
std::optional<std::string> why_never_run(const Case& point);

/// Why no library of this process multiplies for this case, where it multiplies on the host; other ranks may
/// lack what this one has.
std::optional<Skip> why_not_multiplied(const Case& point);

}  // namespace tpbench
