#include "measure/trace.hpp"

#include <algorithm>
#include <stdexcept>

namespace tpbench {

void Trace::start_batch(std::size_t steps) {
  step_s_.clear();
  segment_s_.clear();
  step_s_.reserve(steps);
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

void Trace::store_step(double step_s) {
  if (slot_ != segments_.size())
    throw std::logic_error("Trace: a step ran fewer segments than the one before it");
  step_s_.push_back(step_s);
  segment_s_.insert(segment_s_.end(), current_.begin(), current_.end());
  std::fill(current_.begin(), current_.end(), 0.0);
}

}  // namespace tpbench
