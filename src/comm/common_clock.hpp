#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "comm/control.hpp"
#include "measure/clock_map.hpp"

namespace tpbench {

/// What ranks have in common that read one clock: the running kernel and the offset of their time namespace.
std::string clock_domain();

/// How well the clocks of some ranks are known to each other; the same on all of them.
struct ClockQuality {
  std::int64_t domains = 1;  ///< clocks; 1: nothing had to be measured, and all else is 0
  bool aligned = true;       ///< the offsets are known better than by half a round trip
  double error_s = 0;       ///< of a difference between times of two ranks, assuming that paths are symmetric
  double worst_case_s = 0;  ///< the same whatever the paths are: half the fastest round trips
  double drift_ppm = 0;     ///< of the clock that gains or loses most against rank 0's
  std::vector<double> offset_s =
      {};  ///< of each clock against rank 0's, when it was measured first; on rank 0 alone
};

/// The clocks of some ranks as one: that of rank 0. Ranks of one clock domain have offset 0 by construction.
/// Of each other domain one rank measures its offset, by many round trips (estimate_offset) with a domain
/// whose own is known: ceil(log2 domains) rounds, in each of which twice as many know it. Offsets are taken
/// between the measurements.
class CommonClock {
 public:
  /// Collective over `ranks`. Clocks that run apart although their domains are called the same, as on virtual
  /// machines that were copied while they ran, are found and told apart.
  explicit CommonClock(const Control& ranks, const std::string& domain = clock_domain());

  [[nodiscard]] bool is_one_clock() const { return domains_ == 1; }
  /// Which clock this rank reads; they are numbered in the order of their first ranks.
  [[nodiscard]] int domain() const { return domain_; }

  /// Forgets what was measured, and measures. Collective; nothing to do for one clock.
  void restart();
  /// Measures once more. Collective; nothing to do for one clock.
  void measure();
  /// Whether offsets are known well enough for what it is to begin or end at one moment on all ranks; the
  /// same on all.
  [[nodiscard]] bool is_aligned() const { return is_aligned_; }

  /// A moment of this rank's clock on the common one, and the reverse.
  [[nodiscard]] std::int64_t common_ns(std::int64_t own_ns) const { return map_.other_ns(own_ns); }
  [[nodiscard]] std::int64_t own_ns(std::int64_t common_ns) const { return map_.own_ns(common_ns); }

  /// Collective.
  [[nodiscard]] ClockQuality quality() const;

 private:
  void find_domains(const std::string& domain);
  [[nodiscard]] bool runs_apart() const;
  void measure_to_parent();
  void follow_parent();
  void tell_domain();

  Control ranks_;
  int domains_ = 1;
  int domain_ = 0;
  bool is_aligned_ = true;
  std::optional<Control> here_;     // the ranks of this domain
  std::optional<Control> leaders_;  // the first rank of each domain, in their order; empty on other ranks
  ClockMap to_parent_;              // of a leader: its clock and that of the leader it asks
  ClockMap map_;
};

}  // namespace tpbench
