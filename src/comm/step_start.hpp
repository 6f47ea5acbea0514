#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "comm/common_clock.hpp"
#include "comm/control.hpp"

namespace tpbench {

/// Has some ranks begin each step at one moment of their common clock; where their clocks are not aligned,
/// behind a barrier. Every rank calls the same in the same order:
///
///     start.agree();               // all ranks have come; the next moment is named
///     start.wait();                // until that moment
///     ... the step ...
///     start.agree();               // false: a rank heard of the moment too late, and the step is no sample
///     ...
///     start.conclude();            // the same of the last step
class StepStart {
 public:
  StepStart(const Control& ranks, const CommonClock& clock) : ranks_(ranks), clock_(clock) {}

  /// Returns when all ranks have come, whether all of them heard in time of the moment named before.
  bool agree();
  /// The same behind a last step: no moment is named.
  bool conclude();
  /// Returns at the moment named last; at once when it is over, or where none is named.
  void wait();

  /// That moment on this rank's clock; 0 where none is named: on a single rank, and behind a barrier.
  [[nodiscard]] std::int64_t start_ns() const { return start_ns_; }
  [[nodiscard]] bool names_a_moment() const { return ranks_.size() > 1 && clock_.is_aligned(); }

  /// Since this object was made, on all ranks: moments that were named, and those that some rank heard of too
  /// late.
  [[nodiscard]] std::int64_t starts() const { return starts_; }
  [[nodiscard]] std::int64_t late_starts() const { return late_starts_; }
  /// From the moment at which the last rank had come to the one that is named, now.
  [[nodiscard]] double margin_s() const { return margin_ns_ * 1e-9; }

 private:
  // How the ranks heard of the moment named before: all in time, and the last one so long after it was named.
  struct Hearing {
    bool in_time = true;
    double longest_ns = 0;
  };
  Hearing meet(std::int64_t margin_ns);
  void rehearse();
  void learn(const Hearing& hearing);
  void choose_margin();

  Control ranks_;
  const CommonClock& clock_;
  std::int64_t start_ns_ = 0;
  std::int64_t moment_ns_ = 0;   // the same on the common clock
  std::int64_t hearing_ns_ = 0;  // of this rank, of the moment named last
  bool late_ = false;            // it was over by then
  bool named_ = false;           // a step was to begin at it
  std::int64_t starts_ = 0, late_starts_ = 0;

  // The last of them, the oldest overwritten: how long the last rank to hear took, in nanoseconds.
  static constexpr std::size_t kRemembered = 128;
  std::vector<double> hearings_ns_;
  double step_ns_ = 0;  // from a moment until all ranks had come again, as is usual
  double margin_ns_ = 0;
  double widened_ = 1;  // after a late start, until one is in time
};

}  // namespace tpbench
