#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tpbench {

/// One question for another clock's time, by this clock and that one, in nanoseconds.
struct RoundTrip {
  std::int64_t sent_ns = 0;      ///< this clock, before asking
  std::int64_t answered_ns = 0;  ///< the other clock, while answering
  std::int64_t received_ns = 0;  ///< this clock, when the answer was there
};

/// How far one clock is ahead of another at one moment.
struct ClockAnchor {
  std::int64_t at_ns = 0;      ///< the moment, on the clock that is ahead
  std::int64_t offset_ns = 0;  ///< this clock - the other
  double error_ns = 0;         ///< as stated: assumes that both ways of a round trip take as long
  double worst_case_ns = 0;    ///< half the fastest round trip: holds whatever the ways take
};

/// The offset by the fastest tenth of the round trips (at least five of them): the middle of a straight
/// line through them, with the spread of the offset around that line as the error, and a thirty-second of
/// half the fastest trip, as no two ways are quite alike. A message that was held up on one of its ways makes
/// its trip slow and its offset wrong by half of that; among the fastest none was held up for long. At least
/// one trip.
ClockAnchor estimate_offset(std::span<const RoundTrip> trips);

/// One clock seen from another: anchors, and straight lines between them. Without anchors both are the same
/// clock.
class ClockMap {
 public:
  void add(const ClockAnchor& anchor) { anchors_.push_back(anchor); }  ///< later than those before
  void clear() { anchors_.clear(); }
  [[nodiscard]] std::span<const ClockAnchor> anchors() const { return anchors_; }

  /// The other clock's time at a moment of this one, and the reverse.
  [[nodiscard]] std::int64_t other_ns(std::int64_t own_ns) const { return own_ns - offset_ns(own_ns); }
  [[nodiscard]] std::int64_t own_ns(std::int64_t other_ns) const;
  /// This clock - the other at a moment of this one. Behind the last anchor it goes on as it did between the
  /// first and the last, where they lie apart by more than their errors.
  [[nodiscard]] std::int64_t offset_ns(std::int64_t own_ns) const;
  /// What this clock gains, in parts per million, by the first and the last anchor; 0 for fewer than two.
  [[nodiscard]] double drift_ppm() const;
  /// What may be wrong with the offset between the anchors: the largest error of an anchor, and by how much
  /// an anchor lies off the line of its neighbours beyond their errors (the drift is not steady). 0 without
  /// anchors.
  [[nodiscard]] double error_ns() const;
  [[nodiscard]] double worst_case_ns() const;

  /// This map followed by that of the other clock to a third: each anchor, by what `next` says at its moment.
  [[nodiscard]] ClockMap then(const ClockMap& next) const;

 private:
  [[nodiscard]] double slope_behind() const;

  std::vector<ClockAnchor> anchors_;
};

}  // namespace tpbench
