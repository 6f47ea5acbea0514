#pragma once

#include <chrono>
#include <cstdint>

namespace tpbench {

/// Monotonic host time in nanoseconds since an arbitrary start that the ranks of one clock domain share:
/// those of one running kernel and one time namespace [comm/common_clock.hpp].
inline std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// The same in seconds: for durations of a microsecond and more.
inline double now_s() { return static_cast<double>(now_ns()) * 1e-9; }

/// Seconds since it was made or last restarted.
class Stopwatch {
 public:
  [[nodiscard]] double elapsed_s() const { return static_cast<double>(now_ns() - start_ns_) * 1e-9; }
  double restart() {
    const std::int64_t now = now_ns();
    const auto elapsed = static_cast<double>(now - start_ns_) * 1e-9;
    start_ns_ = now;
    return elapsed;
  }

 private:
  std::int64_t start_ns_ = now_ns();
};

}  // namespace tpbench
