#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "comm/communicator.hpp"

namespace tpbench {

/// Runs all-reduces on a thread of its own, in the order in which they are started, while the thread that
/// starts them computes. The blocking collectives make real progress there, whatever the algorithm; MPI's own
/// non-blocking ones move only when somebody calls MPI. The thread that starts them makes no call of MPI
/// until `wait` (MPI_THREAD_SERIALIZED: Session::threads_may_communicate) On a device a collective comes
/// after what the starting thread had queued when it was started, and what that thread queues after `wait`
/// comes after all of them.
class BackgroundReducer {
 public:
  /// `device`: where the operands lie; null for host memory.
  explicit BackgroundReducer(Communicator& communicator, DeviceSide* device = nullptr);
  ~BackgroundReducer();
  BackgroundReducer(const BackgroundReducer&) = delete;
  BackgroundReducer& operator=(const BackgroundReducer&) = delete;

  /// Begins to sum `count` elements at `data` over the group, in place. They are not touched until `wait`.
  void start(void* data, std::int64_t count, DType dtype);
  /// Returns when all that was started is done. Throws what a collective has thrown.
  void wait();
  /// The same without a word about failures: for when something else has failed.
  void drain() noexcept;

 private:
  struct Task {
    void* data;
    std::int64_t count;
    DType dtype;
    std::shared_ptr<void> ready;  // the point of the device's work that it comes after
  };
  void work();

  Communicator& communicator_;
  DeviceSide* device_;
  std::shared_ptr<void> last_;  // the point of the device's work at which the last task is done
  std::mutex mutex_;
  std::condition_variable started_;
  std::condition_variable done_;
  std::deque<Task> tasks_;  // the first one is under way
  std::exception_ptr failure_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace tpbench
