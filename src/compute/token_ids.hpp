#pragma once

#include <cstdint>

#include "base/host_device.hpp"

namespace tpbench {

/// The ids of tokens, where tensors lie, and the part of the vocabulary that this rank holds: row (of a
/// table) or column (of logits) i is that of id first + i, for i < held. What lies behind is padding.
struct TokenIds {
  const std::int64_t* data = nullptr;
  std::int64_t count = 0;
  std::int64_t first = 0;
  std::int64_t held = 0;

  /// Where an id is in that part; -1 where another rank holds it.
  [[nodiscard]] TPBENCH_HOST_DEVICE std::int64_t place_of(std::int64_t id) const {
    const std::int64_t place = id - first;
    return place >= 0 && place < held ? place : -1;
  }
  /// Those of tokens [begin, begin + size).
  [[nodiscard]] TokenIds slice(std::int64_t begin, std::int64_t size) const {
    return {data + begin, size, first, held};
  }
};

/// The largest logit of a rank that holds none: below all others, and a number, as it goes through sums.
inline constexpr float kLeastLogit = -3.0e38F;

}  // namespace tpbench
