#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace tpbench::cuda::emulation {

/// What a stream has been given, in order. It is the laziest there may be: nothing of it is done before
/// somebody waits for it, so what a program forgets to wait for shows, whatever the device would have made of
/// it.
class Queue {
 public:
  using Work = std::function<void()>;

  /// Returns the place of `work`: 1 is the first that was ever given.
  std::uint64_t give(Work work);
  [[nodiscard]] std::uint64_t given();
  [[nodiscard]] bool has_done(std::uint64_t place) const { return done_ >= place; }
  /// Does all work up to that at `place`, on the calling thread, or waits for the thread that does it.
  void do_until(std::uint64_t place);
  void do_all() { do_until(given()); }

 private:
  std::mutex adding_, working_;
  std::deque<Work> work_;
  std::uint64_t given_ = 0;
  std::atomic<std::uint64_t> done_ = 0;
};

/// A place in a queue; of no queue it is always past.
struct Place {
  std::shared_ptr<Queue> queue;
  std::uint64_t number = 0;

  [[nodiscard]] bool is_past() const { return queue == nullptr || queue->has_done(number); }
  void reach() const {
    if (queue != nullptr) queue->do_until(number);
  }
};

/// Puts `work` into a stream; into none of the program's own it is done at once.
Place give(cudaStream_t stream, Queue::Work work);

/// Does all work of all streams.
void do_all_work();

}  // namespace tpbench::cuda::emulation

// What the runtime's handles point to.
struct CUstream_st {
  int device;
  std::shared_ptr<tpbench::cuda::emulation::Queue> queue =
      std::make_shared<tpbench::cuda::emulation::Queue>();
};
struct CUevent_st {
  using Time = std::optional<std::chrono::steady_clock::time_point>;

  int device;
  bool timed;
  bool is_recorded = false;
  tpbench::cuda::emulation::Place place{};
  std::shared_ptr<Time> time = std::make_shared<Time>();  // it may be destroyed before it is come to
  bool seen = true;                                       // nobody has to wait for what was never recorded
};
