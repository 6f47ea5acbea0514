#pragma once

#include <optional>

#include "base/json_fwd.hpp"
#include "measure/statistics.hpp"

namespace tpbench {

class ReferenceWork;

/// How long the same work takes, again and again, on this core: what differs is not the work.
struct NoiseResult {
  std::optional<Summary> gemm_s;  ///< seconds of one repetition of the reference work
  Summary copy_s;
  /// (95th percentile - minimum) / minimum, of the product or of the copy, whichever is more: 0 is quiet.
  [[nodiscard]] double relative() const;
};

/// Repeats the reference work: about 60 ms. Where BLAS cannot multiply, the copy alone.
NoiseResult probe_noise(ReferenceWork& work, bool can_multiply);

/// Beyond this the records carry a warning.
inline constexpr double kNoisyMachine = 0.10;

Json noise_to_json(const NoiseResult& noise);

}  // namespace tpbench
