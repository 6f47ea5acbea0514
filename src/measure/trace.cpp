#include "measure/trace.hpp"

#include <cmath>
#include <stdexcept>

namespace tpbench {

void Trace::reserve(std::size_t steps) {
  held_.steps.reserve(held_.steps.size() + steps);
  held_.spans.reserve(held_.spans.size() + steps * held_.events.size());
}

void Trace::forget() {
  held_.steps.clear();
  held_.spans.clear();
}

void Trace::drop_step() {
  held_.steps.pop_back();
  held_.spans.resize(held_.spans.size() - held_.events.size());
}

void Trace::prepare_step() {
  events_ = 0;
  last_ = Activity::none;
  turn(Direction::forward);
  in_layers_ = false;
  // What a step that was not ended had left goes.
  held_.spans.resize((held_.steps.size() + 1) * held_.events.size());
  step_ = {};
  if (device_ != nullptr) place_device();
  prepared_ = true;
}

// Only in the first step of a case, which is never timed.
void Trace::open_new(const EventKey& key) {
  if (events_ != held_.events.size() || known_)
    throw std::logic_error("Trace: a step ran another list of events than the one before it");
  held_.events.push_back(key);
  held_.spans.emplace_back();
  marks_of_.emplace_back();
  ++events_;
}

// The device comes to a mark behind which nothing waits between two looks at the host's clock; of a few the
// closest.
void Trace::place_device() {
  constexpr std::size_t kLooks = 4;  // the first waits for what is still queued
  step_.place_error_ns = 0;
  for (std::size_t i = 0; i < kLooks; ++i) {
    const std::int64_t before = now_ns();
    device_->mark(i);
    device_->wait(i);
    const std::int64_t error_ns = (now_ns() - before + 1) / 2;
    if (i > 1 && error_ns >= step_.place_error_ns) continue;
    anchor_ = i;
    anchor_ns_ = before + error_ns;
    step_.place_error_ns = error_ns;
  }
  marks_ = kLooks;
}

void Trace::begin_device_step(std::int64_t now) {
  step_.host_ns = now;
  first_mark_ = mark();
}

// Waiting for one event after the other shows a watchdog which one never ends.
void Trace::end_device_step() {
  const std::size_t last = mark();
  for (std::size_t i = 0; i < events_; ++i) {
    heartbeat_.beat(held_.events[i].kind);
    device_->wait(marks_of_[i].to);
  }
  heartbeat_.beat(Activity::none);
  device_->wait(last);
  step_.host_ns = now_ns() - step_.host_ns;
  const auto placed = [this](std::size_t mark) {
    return anchor_ns_ + std::llround(device_->seconds_between(anchor_, mark) * 1e9);
  };
  const std::size_t first = held_.spans.size() - held_.events.size();
  for (std::size_t i = 0; i < events_; ++i)
    held_.spans[first + i] = {placed(marks_of_[i].from), placed(marks_of_[i].to)};
  step_.start_ns = placed(first_mark_);
  step_.end_ns = placed(last);
  store_step();
}

void Trace::store_step() {
  if (events_ != held_.events.size())
    throw std::logic_error("Trace: a step ran fewer events than the one before it");
  known_ = true;
  held_.steps.push_back(step_);
}

}  // namespace tpbench
