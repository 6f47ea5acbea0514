#pragma once

#include <cstddef>

#include "base/enum_names.hpp"

namespace tpbench {

/// The two halves of a training pass. A forward pass has the first one only.
enum class Direction { forward, backward };

inline constexpr std::size_t kDirections = 2;

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Direction, {tpbench::Direction::forward, "forward"},
                   {tpbench::Direction::backward, "backward"});
