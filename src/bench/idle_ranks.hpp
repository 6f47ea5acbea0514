#pragma once

#include <optional>
#include <span>
#include <string>

#include "bench/devices.hpp"
#include "sweep/case.hpp"

namespace tpbench {

/// "8 of 16 ranks work in no case: ...", and what would make them work. Empty when every rank works in some
/// case, and when no case runs at all: the skipped cases say why. host_of[r] is the host of world rank r.
std::optional<std::string> why_ranks_idle(std::span<const Case> cases, std::span<const int> host_of,
                                          const DevicesByBackend& devices);

}  // namespace tpbench
