#pragma once

#include <cstdint>
#include <optional>

namespace tpbench {

/// How long the reference work took beside a case, all its ranks at once: of each rank the median of five,
/// and of these the median and the largest.
struct ReferenceTimes {
  double gemm_s = 0;
  double gemm_slowest_s = 0;
  double copy_s = 0;
  double copy_slowest_s = 0;
  std::optional<double> core_latency_s = {};  ///< of the slowest pair of neighbouring ranks on one host
};

/// That the reference copy reads and writes.
inline constexpr std::int64_t kReferenceCopyBytes = std::int64_t{24} << 20;

/// Around the warm-up and the samples of one epoch.
struct ReferenceResult {
  ReferenceTimes before, after;
};

}  // namespace tpbench
