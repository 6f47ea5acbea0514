#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json_fwd.hpp"

namespace tpbench::cuda {

/// The GPU that this process computes on: one for its whole life, as its context cannot be given back.
class Device {
 public:
  /// Takes the GPU for rank `local_rank` of this host: those that CUDA_VISIBLE_DEVICES lets through, in turn.
  /// Throws EnvironmentError that names what is missing.
  static void open(int local_rank);
  /// The one that was opened; std::logic_error before.
  static Device& get();
  static bool is_open();

  [[nodiscard]] int index() const { return index_; }  ///< among the visible ones
  [[nodiscard]] const cudaDeviceProp& properties() const { return properties_; }
  [[nodiscard]] std::string uuid() const;
  [[nodiscard]] std::string pci_bus_id() const;
  /// {"index", "name", "pci_bus_id", "uuid", "memory_bytes", "compute_capability", ...}
  [[nodiscard]] Json describe() const;

  /// The queue of the calling thread, made at its first use.
  cudaStream_t queue();
  /// Returns when the queue of the calling thread is empty. Throws as `wait` does.
  void finish();
  /// Returns when the device has come to `event`; looks meanwhile after what is watched.
  void wait(cudaEvent_t event);

  /// Plain memory of the device (cudaMalloc). Throws CaseError with what is free.
  [[nodiscard]] std::shared_ptr<void> allocate(std::int64_t bytes) const;
  /// For work that is queued on `queue` alone: taken and given back behind what is in it. cudaFree waits for
  /// all that the device does, and so for receives whose peer waits for this rank. Throws CaseError where
  /// there is none.
  [[nodiscard]] static std::shared_ptr<void> allocate_queued(std::int64_t bytes, cudaStream_t queue);
  [[nodiscard]] std::shared_ptr<void> allocate_pinned(std::int64_t bytes) const;

  /// Has `check` called about every millisecond while a thread waits for the device; it throws when something
  /// has failed that the device alone would wait for without end. Watched for as long as the pointer lives.
  std::shared_ptr<void> watch(std::function<void()> check);

 private:
  explicit Device(int index);
  void look_after_watched();

  int index_ = 0;
  cudaDeviceProp properties_{};
  std::mutex mutex_;
  std::list<std::function<void()>> watched_;
};

/// {"index", "name", ...} of a visible GPU.
Json describe_gpu(int index, const cudaDeviceProp& properties);

/// How many GPUs are visible. Throws EnvironmentError that names what is missing: the driver, a newer one, a
/// GPU.
int count_gpus();

/// An event that is destroyed with it.
class Event {
 public:
  explicit Event(unsigned flags = cudaEventDefault);
  ~Event();
  Event(Event&& other) noexcept : event_(other.event_) { other.event_ = nullptr; }
  Event& operator=(Event&&) = delete;
  [[nodiscard]] cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace tpbench::cuda
