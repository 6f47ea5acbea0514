#pragma once

#include <cstdint>

#include "base/json_fwd.hpp"
#include "measure/statistics.hpp"

namespace tpbench {

/// How long the same piece of work takes, again and again, on this core: what differs is not the work.
struct NoiseResult {
  Summary work_s;  ///< seconds of one repetition
  /// (95th percentile - minimum) / minimum: 0 on a quiet machine.
  [[nodiscard]] double relative() const { return (work_s.p95 - work_s.min) / work_s.min; }
};

/// Repeats a fixed piece of integer work of about 0.1 ms. No memory beyond the first-level cache, no system
/// calls.
NoiseResult probe_noise(int repetitions = 200);

/// Beyond this the records carry a warning.
inline constexpr double kNoisyMachine = 0.10;

Json noise_to_json(const NoiseResult& noise);

}  // namespace tpbench
