#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "measure/clock.hpp"
#include "measure/device_clock.hpp"
#include "measure/event.hpp"

namespace tpbench {

/// Writes down the events of steps on one rank: when each began and ended, by this rank's clock.
///
/// A step of a rank is a fixed list of events. Compute between two collectives is one event, however many
/// marks it has; each collective is its own. Other ranks may have other lists.
///
///     trace.prepare_step();                                    // may wait for the device
///     trace.begin_step(agreed_start_ns);
///     trace.begin(Activity::compute);    layer work            trace.end();
///     trace.begin(Activity::all_reduce, bytes); the call       trace.end();
///     trace.end_step();
///
/// Marks are taken on the host's clock, or, where work is queued on a device, on the device's: then a step
/// ends when the device has come to its last mark, and is placed on the host's clock by an anchor, a mark
/// that the device came to between two looks at that clock.
class Trace {
 public:
  explicit Trace(Heartbeat& heartbeat, DeviceClock* device = nullptr)
      : heartbeat_(heartbeat), device_(device) {
    held_.of_device = device != nullptr;
  }

  /// Makes room for `steps` more: nothing is allocated while they are timed.
  void reserve(std::size_t steps);
  /// Forgets the steps held; the list of events stays.
  void forget();
  /// Forgets the last step.
  void drop_step();

  /// What can be done before a step begins; begin_step does it otherwise.
  void prepare_step();
  /// `agreed_start_ns`: the moment at which all ranks begin, on this rank's clock; 0 where none was agreed
  /// on.
  void begin_step(std::int64_t agreed_start_ns = 0) {
    if (!prepared_) prepare_step();
    prepared_ = false;
    heartbeat_.step.fetch_add(1, std::memory_order_relaxed);
    const std::int64_t now = now_ns();
    step_.start_ns = agreed_start_ns == 0 ? now : agreed_start_ns;
    if (device_ != nullptr) begin_device_step(now);
  }
  /// What begins from here on belongs to this half of the pass; a step begins forward.
  void turn(Direction direction) { turn(direction, 0, 0); }
  /// The same of one microbatch on one stage of a pipeline.
  void turn(Direction direction, std::int64_t stage, std::int64_t microbatch, bool deferred = false) {
    direction_ = direction;
    stage_ = stage;
    microbatch_ = microbatch;
    deferred_ = deferred;
    last_ = Activity::none;
  }
  /// What begins from here on is, or is not, the work of a model's layers.
  void enter_layers(bool entered) {
    in_layers_ = entered;
    last_ = Activity::none;
  }
  void begin(Activity kind, std::int64_t bytes = 0, std::int64_t group = 0) {
    heartbeat_.beat(kind);
    if (kind == Activity::compute && last_ == Activity::compute) return;  // goes on with the event before
    last_ = kind;
    open({kind, direction_, bytes, group, stage_, microbatch_, deferred_, in_layers_});
    if (device_ != nullptr)
      marks_of_[events_ - 1].from = mark();
    else
      span().start_ns = now_ns();
  }
  void end() {
    if (device_ != nullptr)
      marks_of_[events_ - 1].to = mark();
    else
      span().end_ns = now_ns();
  }
  void end_step() {
    if (device_ != nullptr) return end_device_step();
    step_.end_ns = now_ns();
    heartbeat_.beat(Activity::none);
    store_step();
  }

  /// What is held; the list of events is known after the first step.
  [[nodiscard]] const TracedSteps& held() const { return held_; }
  [[nodiscard]] Heartbeat& heartbeat() { return heartbeat_; }

 private:
  struct Marks {
    std::size_t from = 0, to = 0;
  };

  EventSpan& span() { return held_.spans[held_.spans.size() - held_.events.size() + events_ - 1]; }
  void open(const EventKey& key) {
    if (events_ == held_.events.size() || held_.events[events_] != key) return open_new(key);
    ++events_;
  }
  void open_new(const EventKey& key);
  std::size_t mark() {
    device_->mark(marks_);
    return marks_++;
  }
  void place_device();
  void begin_device_step(std::int64_t now);
  void end_device_step();
  void store_step();

  Heartbeat& heartbeat_;
  DeviceClock* device_ = nullptr;
  TracedSteps held_;  // its spans are also those of the step under way
  StepSpan step_;     // under way
  std::size_t events_ = 0;
  bool prepared_ = false;
  bool known_ = false;  // the list of events is complete
  Activity last_ = Activity::none;
  Direction direction_ = Direction::forward;
  std::int64_t stage_ = 0, microbatch_ = 0;
  bool deferred_ = false;
  bool in_layers_ = false;

  std::vector<Marks> marks_of_;  // of the events of the step under way
  std::size_t marks_ = 0;        // the next one
  std::size_t first_mark_ = 0;
  std::size_t anchor_ = 0;
  std::int64_t anchor_ns_ = 0;  // the host's time of mark anchor_
};

}  // namespace tpbench
