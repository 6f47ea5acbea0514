#pragma once

#include <cstdint>
#include <limits>

#include "base/host_device.hpp"

namespace tpbench {

/// Entries of a row that a softmax is over: of row r the first `first + (r mod rows) step`.
struct Visible {
  std::int64_t first = 0;
  std::int64_t step = 0;
  std::int64_t rows =
      std::numeric_limits<std::int64_t>::max();  ///< of each matrix, where several are stacked

  [[nodiscard]] TPBENCH_HOST_DEVICE std::int64_t of_row(std::int64_t row) const {
    return first + row % rows * step;
  }
};

}  // namespace tpbench
