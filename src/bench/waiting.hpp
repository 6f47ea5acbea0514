#pragma once

#include <algorithm>

namespace tpbench {

/// What one rank waits in a step at its collectives for the last rank to come. A rank that left the
/// collective before earlier than the last one did has that much of a head start, which the network gave it
/// and no late rank: what is left without it is imbalance.
class Waiting {
 public:
  /// One collective after the other: the moments at which this rank and the last one began it and left it,
  /// and how often it counts.
  void add(double own_start_s, double last_start_s, double own_end_s, double last_end_s, double times = 1) {
    const double wait_s = last_start_s - own_start_s;
    all_s_ += times * wait_s;
    imbalance_s_ += times * std::max(0.0, wait_s - head_start_s_);
    head_start_s_ = std::max(0.0, last_end_s - own_end_s);
  }
  [[nodiscard]] double all_s() const { return all_s_; }
  [[nodiscard]] double imbalance_s() const { return imbalance_s_; }

 private:
  double all_s_ = 0, imbalance_s_ = 0, head_start_s_ = 0;
};

}  // namespace tpbench
