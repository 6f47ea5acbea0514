#pragma once

#include <chrono>

namespace tpbench {

/// Monotonic host time in seconds since an arbitrary start that all processes of one host share.
inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds since it was made or last restarted.
class Stopwatch {
 public:
  [[nodiscard]] double elapsed_s() const { return now_s() - start_s_; }
  double restart() {
    const double now = now_s();
    const double elapsed = now - start_s_;
    start_s_ = now;
    return elapsed;
  }

 private:
  double start_s_ = now_s();
};

}  // namespace tpbench
