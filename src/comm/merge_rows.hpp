#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "comm/control.hpp"

namespace tpbench {

/// The rows of `width` numbers that any rank has, each once, in lexicographic order; the same on every rank.
/// No rank holds more than that. Collective.
std::vector<std::int64_t> merge_rows(const Control& ranks, const std::vector<std::int64_t>& rows,
                                     std::size_t width);

}  // namespace tpbench
