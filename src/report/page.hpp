#pragma once

#include <span>
#include <string>

#include "report/html.hpp"
#include "result/result_set.hpp"

namespace tpbench {

/// What `tpbench report` shows of one folder or several: the answer, how sure it is and what is wrong with
/// the machine; charts of each workload and shape; every case; the environment; how to do it again. Throws
/// nothing of its own.
Page make_page(std::span<const ResultSet> sets);

}  // namespace tpbench
