#include "workload/partition.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tpbench {

Range shard_of(std::int64_t extent, std::int64_t parts, std::int64_t rank) {
  const std::int64_t size = extent / parts;
  return {rank * size, (rank + 1) * size};
}

Range shard_or_copy_of(std::int64_t extent, std::int64_t parts, std::int64_t rank) {
  if (extent >= parts) return shard_of(extent, parts, rank);
  const std::int64_t unit = rank / (parts / extent);
  return {unit, unit + 1};
}

std::optional<std::string> why_not_divisible(std::span<const SplitDimension> dimensions,
                                             std::int64_t degree) {
  const auto refuses = [](std::int64_t at) {
    return [at](const SplitDimension& dimension) { return !dimension.allows(at); };
  };
  const auto all_allow = [&](std::int64_t at) {
    return std::none_of(dimensions.begin(), dimensions.end(), refuses(at));
  };
  const auto first = std::find_if(dimensions.begin(), dimensions.end(), refuses(degree));
  if (first == dimensions.end()) return std::nullopt;

  const std::string problem =
      first->copies
          ? fmt::format("{} {} is neither divisible by tp_degree {} nor a divisor of it", first->name,
                        first->extent, degree)
          : fmt::format("{} {} is not divisible by tp_degree {}", first->name, first->extent, degree);
  // No degree beyond the shortest dimension that must be split can do; an extent of 0 divides by anything.
  std::int64_t largest = degree;
  bool bounded = false;
  for (const SplitDimension& dimension : dimensions) {
    if (dimension.copies || dimension.extent == 0) continue;
    largest = bounded ? std::min(largest, dimension.extent) : dimension.extent;
    bounded = true;
  }
  std::int64_t below = std::min(degree - 1, largest);
  while (below > 1 && !all_allow(below)) --below;
  std::int64_t above = degree + 1;
  while (above <= largest && !all_allow(above)) ++above;
  if (above > largest) return fmt::format("{}; {} would be", problem, below);
  return fmt::format("{}; {} and {} would be", problem, below, above);
}

}  // namespace tpbench
