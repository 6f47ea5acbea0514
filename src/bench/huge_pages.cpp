#include "bench/huge_pages.hpp"

#include <algorithm>
#include <limits>

#include "bench/process_memory.hpp"

namespace tpbench {

std::optional<HugePages> fewest_huge_pages(const TrackedMemory& tensors, std::optional<std::int64_t> before,
                                           const Control& ranks) {
  HugePages own = {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<double>::max()};
  // What ranks share was not asked for.
  const std::int64_t possible = tensors.bytes_in_pages(huge_page_size());
  const std::optional<std::int64_t> now = huge_page_bytes();
  if (possible > 0 && before && now) {
    own.bytes = std::clamp(*now - *before, std::int64_t{0}, possible);
    own.share = static_cast<double>(own.bytes) / static_cast<double>(possible);
  }
  const HugePages least = {-ranks.max(-own.bytes), -ranks.max(-own.share)};
  return least.share > 1 ? std::nullopt : std::optional(least);
}

}  // namespace tpbench
