#pragma once

#include "comm/control.hpp"

namespace tpbench {

/// How far this rank's monotonic clock is ahead of rank 0's.
struct ClockOffset {
  double offset_s = 0;
  double error_s = 0;  ///< half the shortest round trip: the offset is known no better
};

/// Asks rank 0 for its time again and again and believes the shortest round trip. Collective over `control`.
ClockOffset measure_clock_offset(const Control& control);

}  // namespace tpbench
