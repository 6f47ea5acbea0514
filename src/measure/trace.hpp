#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/direction.hpp"
#include "measure/clock.hpp"
#include "measure/device_clock.hpp"
#include "measure/heartbeat.hpp"

namespace tpbench {

/// What one segment of a step is. Compute between two collectives is one segment; each collective is its own.
struct Segment {
  Activity activity = Activity::compute;
  Direction direction = Direction::forward;
  std::int64_t bytes = 0;  ///< of a collective: the whole array
  std::int64_t ranks = 0;  ///< of a collective among some ranks of the group only: how many; neighbours
  bool operator==(const Segment&) const = default;
};

/// Times the segments of steps on one rank.
///
/// A step is a fixed sequence of segments. Compute between two collectives is one segment, however many marks
/// it has; each collective is its own. All ranks of a group run the same sequence, so segment i of step k
/// means the same thing everywhere, and arrays of durations can be reduced over ranks element by element.
///
///     trace.begin_step();
///     trace.begin(Activity::compute);    layer work    trace.end();
///     trace.begin(Activity::all_reduce, bytes); the call      trace.end();
///     trace.end_step();
///
/// Marks are taken on the host's clock, or, where work is queued on a device, on the device's: then a step
/// ends when the device has come to its last mark, and durations are read after that.
class Trace {
 public:
  explicit Trace(Heartbeat& heartbeat, DeviceClock* device = nullptr)
      : heartbeat_(heartbeat), device_(device) {}

  /// Forgets the durations held and makes room for `steps` more: nothing is allocated while they are timed.
  void start_batch(std::size_t steps);

  void begin_step() {
    slot_ = 0;
    marks_ = 0;
    spans_.clear();
    last_ = Activity::none;
    direction_ = Direction::forward;
    heartbeat_.step.fetch_add(1, std::memory_order_relaxed);
    step_start_s_ = now_s();
    if (device_ != nullptr) device_->mark(marks_++);
  }
  /// What begins from here on belongs to this half of the pass; a step begins forward.
  void turn(Direction direction) {
    direction_ = direction;
    last_ = Activity::none;
  }
  void begin(Activity activity, std::int64_t bytes = 0, std::int64_t ranks = 0) {
    if (!(activity == Activity::compute && last_ == Activity::compute))
      open_slot({activity, direction_, bytes, ranks});
    last_ = activity;
    heartbeat_.beat(activity);
    if (device_ != nullptr)
      spans_.push_back({slot_ - 1, mark(), 0});
    else
      segment_start_s_ = now_s();
  }
  void end() {
    if (device_ != nullptr)
      spans_.back().to = mark();
    else
      current_[slot_ - 1] += now_s() - segment_start_s_;
  }
  void end_step() {
    if (device_ != nullptr) return end_device_step();
    const double step_s = now_s() - step_start_s_;
    heartbeat_.beat(Activity::none);
    store_step(step_s);
  }

  /// Segments of a step, in order; known after the first step.
  [[nodiscard]] std::span<const Segment> segments() const { return segments_; }
  [[nodiscard]] std::size_t steps() const { return step_s_.size(); }
  /// Seconds of each step of the batch.
  [[nodiscard]] std::span<const double> step_s() const { return step_s_; }
  /// The same by the host's clock, from before the first mark until the device was seen at the last one;
  /// empty where the host's clock is the only one.
  [[nodiscard]] std::span<const double> host_step_s() const { return host_step_s_; }
  /// Seconds of each segment, step by step: [steps, segments] row-major.
  [[nodiscard]] std::span<const double> segment_s() const { return segment_s_; }
  [[nodiscard]] Heartbeat& heartbeat() { return heartbeat_; }

 private:
  // What stands between two marks on the device belongs to a slot.
  struct Span {
    std::size_t slot, from, to;
  };

  std::size_t mark() {
    device_->mark(marks_);
    return marks_++;
  }
  void end_device_step();
  void open_slot(const Segment& segment);
  void store_step(double step_s);

  Heartbeat& heartbeat_;
  std::vector<Segment> segments_;
  std::vector<double> current_;  // durations of the step under way, one per segment
  std::vector<double> step_s_;
  std::vector<double> host_step_s_;
  std::vector<double> segment_s_;
  DeviceClock* device_ = nullptr;
  std::vector<Span> spans_;  // of the step under way
  std::size_t marks_ = 0;
  std::size_t slot_ = 0;
  Activity last_ = Activity::none;
  Direction direction_ = Direction::forward;
  double step_start_s_ = 0;
  double segment_start_s_ = 0;
};

}  // namespace tpbench
