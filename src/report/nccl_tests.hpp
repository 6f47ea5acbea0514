#pragma once

#include <cstddef>
#include <string>

#include "base/json_fwd.hpp"
#include "result/result_set.hpp"

namespace tpbench {

/// The probes of the fabric in the form that nccl-tests writes with -J, version 3 (docs/compare.md,
/// "Export").
struct NcclTestsExport {
  std::string text;             ///< one JSON document with its line end
  std::size_t cases = 0;        ///< results in it
  std::size_t on_one_rank = 0;  ///< ok probes left out, as nothing is moved on one rank
  std::size_t untold = 0;       ///< ok probes left out, as the clocks of their hosts cannot tell their time
};

/// all_reduce, all_gather and reduce_scatter cases of `set` that are ok and ran on more than one rank.
NcclTestsExport export_nccl_tests(const ResultSet& set);

}  // namespace tpbench
