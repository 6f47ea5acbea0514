#pragma once

#include <atomic>
#include <mutex>

namespace tpbench {

/// One thread at a time calls MPI (MPI_THREAD_SERIALIZED). While a MessageMover is awake each call waits for
/// its turn, in TPBENCH_MPI; else a turn costs a look at a number.
class MpiTurn {
 public:
  MpiTurn() {
    if (movers_awake_.load(std::memory_order_relaxed) > 0) lock_ = std::unique_lock(mutex_);
  }

  /// Whether MPI lets threads take turns: what it granted when it was started. MPI_Query_thread says
  /// something else after Open MPI's MPI_T_init_thread.
  static bool threads_may_take_turns() { return threads_may_take_turns_; }
  static void let_threads_take_turns(bool may) { threads_may_take_turns_ = may; }

 private:
  friend class MessageMover;
  static inline std::mutex mutex_;
  static inline std::atomic<int> movers_awake_{0};
  static inline bool threads_may_take_turns_ = false;

  std::unique_lock<std::mutex> lock_;
};

}  // namespace tpbench
