#pragma once

#include <cstdint>
#include <optional>

#include "comm/control.hpp"
#include "tensor/tracked_memory.hpp"

namespace tpbench {

/// What of a case's tensors lies in transparent huge pages, each on the rank with the least.
struct HugePages {
  std::int64_t bytes = 0;
  double share = 0;  ///< of the whole huge pages that the tensors could fill
};

/// Collective over `ranks`. `before`: huge_page_bytes() of this process when it held none of `tensors`. Empty
/// where no rank has a tensor as large as a huge page, or its kernel does not tell.
std::optional<HugePages> fewest_huge_pages(const TrackedMemory& tensors, std::optional<std::int64_t> before,
                                           const Control& ranks);

}  // namespace tpbench
