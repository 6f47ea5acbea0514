#pragma once

#include <string>

#include "result/result_set.hpp"

namespace tpbench {

/// Long form, as CSV: one row for each sample of each quantity of each case that is ok, with what says where
/// and when it was measured. Names are those of summary.csv (docs/pandas.md).
std::string render_samples(const ResultSet& set);

}  // namespace tpbench
