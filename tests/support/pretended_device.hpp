#pragma once

#include <cstring>

#include "comm/communicator.hpp"
#include "comm/device_side.hpp"
#include "comm/point_to_point.hpp"
#include "tensor/tracked_memory.hpp"

namespace tpbench::test {

/// A device whose memory is the host's, and whose work is done when it is queued.
class PretendedDevice final : public DeviceSide {
 public:
  void finish() override {}
  void copy_to_host(void* host, const void* device, std::int64_t bytes) override {
    std::memcpy(host, device, static_cast<std::size_t>(bytes));
  }
  void copy_to_device(void* device, const void* host, std::int64_t bytes) override {
    std::memcpy(device, host, static_cast<std::size_t>(bytes));
  }
  std::shared_ptr<void> pinned_memory(std::int64_t bytes) override { return take_host_pages(bytes); }
  std::shared_ptr<void> pin(void* host, std::int64_t) override {
    return {host, [](void*) {}};
  }
  std::shared_ptr<void> point() override { return nullptr; }
  void come_after(const std::shared_ptr<void>&) override {}
  Memory memory_now() override { return {}; }
  std::unique_ptr<Communicator> make_native_communicator(const NativeGroup&) override { return nullptr; }
  std::unique_ptr<PointToPoint> make_native_point_to_point(const NativeGroup&,
                                                           std::span<const Link>) override {
    return nullptr;
  }
};

}  // namespace tpbench::test
