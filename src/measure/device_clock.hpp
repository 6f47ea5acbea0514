#pragma once

#include <cstddef>

namespace tpbench {

/// Where marks are taken when work is queued and runs later, on a device. Marks 0, 1, 2, ... are those of one
/// step; the next step takes the same numbers again.
class DeviceClock {
 public:
  virtual ~DeviceClock() = default;
  /// Queues mark `index` behind the work that the calling thread has queued so far.
  virtual void mark(std::size_t index) = 0;
  /// Returns when the device has come to that mark. Throws CommError when the device or a collective on it
  /// has failed.
  virtual void wait(std::size_t index) = 0;
  /// Seconds from one mark to a later one; the device has come to both.
  virtual double seconds_between(std::size_t from, std::size_t to) = 0;
};

}  // namespace tpbench
