#include "workload/partition.hpp"

#include <fmt/format.h>

namespace tpbench {

Range shard_of(std::int64_t extent, std::int64_t parts, std::int64_t rank) {
  const std::int64_t size = extent / parts;
  return {rank * size, (rank + 1) * size};
}

std::optional<std::string> why_not_divisible(const SplitDimension& dimension, std::int64_t degree) {
  if (dimension.extent % degree == 0) return std::nullopt;
  std::int64_t below = degree - 1;
  while (below > 1 && dimension.extent % below != 0) --below;
  const std::string problem =
      fmt::format("{} {} is not divisible by tp_degree {}", dimension.name, dimension.extent, degree);
  if (degree > dimension.extent) return fmt::format("{}; {} would be", problem, dimension.extent);
  std::int64_t above = degree + 1;
  while (dimension.extent % above != 0) ++above;
  return fmt::format("{}; {} and {} would be", problem, below, above);
}

}  // namespace tpbench
