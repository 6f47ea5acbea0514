#pragma once

#include <span>
#include <string>
#include <vector>

#include "result/record.hpp"

namespace tpbench {

/// Of cases that do the same work on as many ranks, split in different ways over TP, PP and microbatches: one
/// sentence on which gets most tokens through, and one on which has one batch done soonest, each with the
/// best split of another kind, how certain that is, and what limits it. Nothing where no case has stages.
std::vector<std::string> best_splits(std::span<const Record* const> records);

}  // namespace tpbench
