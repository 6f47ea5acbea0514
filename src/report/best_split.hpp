#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/axes.hpp"
#include "result/record.hpp"

namespace tpbench {

/// Of cases that do the same work on as many ranks, split in different ways over TP, PP and microbatches: one
/// sentence on which gets most tokens through, and one on which has one batch done soonest, each with the
/// best split of another kind, how certain that is, and what its step is. Nothing where no case has stages.
std::vector<std::string> best_splits(std::span<const Record* const> records);

/// The same for throughput on whatever number of ranks; also of work that was timed on one layout only.
std::vector<std::string> best_layouts(std::span<const Record* const> records);

/// Equal for cases that do the same work and differ only in how it is split.
std::string work_id(const Case& point);
/// What such work is called: workload and shape, then what tells it from the other work of these cases.
CaseNames work_names(std::span<const Case> cases);
/// "TP 2 PP 4 1f1b m 8"
std::string split_name(const Case& point);

}  // namespace tpbench
