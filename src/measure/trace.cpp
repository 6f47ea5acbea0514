#include "measure/trace.hpp"

#include <algorithm>
#include <stdexcept>

namespace tpbench {

void Trace::start_batch(std::size_t steps) {
  step_s_.clear();
  host_step_s_.clear();
  segment_s_.clear();
  step_s_.reserve(steps);
  if (device_ != nullptr) host_step_s_.reserve(steps);
  segment_s_.reserve(steps * segments_.size());
}

void Trace::open_slot(const Segment& segment) {
  if (slot_ == segments_.size()) {  // only in the first step of a case, which is never timed
    segments_.push_back(segment);
    current_.push_back(0);
  } else if (segments_[slot_] != segment) {
    throw std::logic_error("Trace: a step ran another sequence of segments than the one before it");
  }
  ++slot_;
}

// Waiting for one segment after the other shows a watchdog which one never ends.
void Trace::end_device_step() {
  const std::size_t last = mark();
  for (const Span& span : spans_) {
    heartbeat_.beat(segments_[span.slot].activity);
    device_->wait(span.to);
  }
  heartbeat_.beat(Activity::none);
  device_->wait(last);
  host_step_s_.push_back(now_s() - step_start_s_);
  for (const Span& span : spans_) current_[span.slot] += device_->seconds_between(span.from, span.to);
  store_step(device_->seconds_between(0, last));
}

void Trace::store_step(double step_s) {
  if (slot_ != segments_.size())
    throw std::logic_error("Trace: a step ran fewer segments than the one before it");
  step_s_.push_back(step_s);
  segment_s_.insert(segment_s_.end(), current_.begin(), current_.end());
  std::fill(current_.begin(), current_.end(), 0.0);
}

}  // namespace tpbench
