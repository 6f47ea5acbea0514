#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace tpbench {

class Communicator;
class PointToPoint;
struct Link;

/// The ranks of a group, for a library that does not know MPI.
struct NativeGroup {
  int rank = 0;
  int size = 1;
  /// Collective: every rank gets what rank 0 says.
  std::function<std::string(std::string)> from_first;
};

/// What communicators need of the device on which their operands lie. Work is queued and runs later; each
/// thread has a queue of its own, and a call acts on that of the thread that makes it. Failures throw
/// CommError.
class DeviceSide {
 public:
  virtual ~DeviceSide() = default;

  /// Returns when all work queued so far is done.
  virtual void finish() = 0;
  /// Copies behind the work queued so far; return when the copy is done.
  virtual void copy_to_host(void* host, const void* device, std::int64_t bytes) = 0;
  virtual void copy_to_device(void* device, const void* host, std::int64_t bytes) = 0;
  /// Host memory that the device copies to and from at full speed.
  virtual std::shared_ptr<void> pinned_memory(std::int64_t bytes) = 0;
  /// Makes existing host memory such, whole pages of it, for as long as the pointer lives.
  virtual std::shared_ptr<void> pin(void* host, std::int64_t bytes) = 0;

  /// How far this thread's queue has come with what was put into it so far.
  virtual std::shared_ptr<void> point() = 0;
  /// What this thread queues from here on begins after `point` of another one.
  virtual void come_after(const std::shared_ptr<void>& point) = 0;

  /// Bytes of the device's memory that nobody has taken, and all of it.
  struct Memory {
    std::int64_t free = 0;
    std::int64_t total = 0;
  };
  virtual Memory memory_now() = 0;

  /// Collectives by the device's own library (algorithm nccl), which are queued as work is. Collective over
  /// the group. Throws CaseError with the library's reason.
  virtual std::unique_ptr<Communicator> make_native_communicator(const NativeGroup& group) = 0;
  /// Messages by it, over these links.
  virtual std::unique_ptr<PointToPoint> make_native_point_to_point(const NativeGroup& group,
                                                                   std::span<const Link> links) = 0;
};

}  // namespace tpbench
