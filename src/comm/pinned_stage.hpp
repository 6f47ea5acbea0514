#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "comm/device_side.hpp"

namespace tpbench {

/// Pinned host memory that grows with what goes through it: the untimed first step sees the largest.
class PinnedStage {
 public:
  explicit PinnedStage(DeviceSide& device) : device_(device) {}

  std::byte* hold(std::int64_t bytes) {
    if (bytes > bytes_) {
      memory_.reset();
      memory_ = device_.pinned_memory(bytes);
      bytes_ = bytes;
    }
    return static_cast<std::byte*>(memory_.get());
  }

 private:
  DeviceSide& device_;
  std::shared_ptr<void> memory_;
  std::int64_t bytes_ = 0;
};

}  // namespace tpbench
