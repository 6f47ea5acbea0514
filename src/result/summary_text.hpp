#pragma once

#include <string>

#include "measure/statistics.hpp"

namespace tpbench {

/// A median for people: "3.51 ms +-1.2%", half of its interval's width; "15.8 ms (2.1 ms..640 ms)" where that
/// is more than half of the median and says nothing of either side; "3.51 ms" without an interval.
std::string median_text(const Summary& summary);

}  // namespace tpbench
