#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "result/record.hpp"

namespace tpbench {

/// The case as it was asked for: a record says with how many threads it ran; its id, and the record of a case
/// that was skipped, knows only what was asked.
Case asked_case(const Record& record);

/// Names the series that a record belongs to: the same layer at every degree. It is the id of its tp_degree 1
/// case.
std::string series_id(const Record& record);

/// Fills Record::scaling from the tp_degree 1 record of the series; nullptr where there is none that is ok.
/// Says in a warning when the two were not run alike; with other threads per rank no speed-up is stated.
/// Returns whether anything changed.
bool rescale(Record& record, const Record* baseline);

/// Fills Record::scaling of every ok record from the ok tp_degree 1 record of its series, where there is one.
/// Returns the indexes of the records that changed: their files are to be written again.
std::vector<std::size_t> apply_scaling(std::vector<Record>& records);

}  // namespace tpbench
