#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tpbench {

/// The half-open range [begin, end) of one dimension that a rank holds.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

/// The slice of `extent` that rank `rank` of `parts` holds. `extent` is divisible by `parts`.
Range shard_of(std::int64_t extent, std::int64_t parts, std::int64_t rank);

/// The slice of `extent` units that rank `rank` holds where units are replicated when there are fewer than
/// ranks: key/value heads. One of `extent` and `parts` is divisible by the other.
Range shard_or_copy_of(std::int64_t extent, std::int64_t parts, std::int64_t rank);

/// A dimension that a workload splits over the group.
struct SplitDimension {
  std::string_view name;    ///< as in the sweep file: "hidden_size"
  std::int64_t extent = 0;  ///< must be divisible by tp_degree
  bool copies = false;      ///< or tp_degree by it: several ranks then hold copies of one unit

  [[nodiscard]] bool allows(std::int64_t degree) const {
    return extent % degree == 0 || (copies && degree % extent == 0);
  }
};

/// Why `degree` cannot split all of `dimensions`, with the nearest degrees that can; empty when it can.
/// "hidden_size 100 is not divisible by tp_degree 3; 2 and 4 would be"
std::optional<std::string> why_not_divisible(std::span<const SplitDimension> dimensions, std::int64_t degree);

}  // namespace tpbench
