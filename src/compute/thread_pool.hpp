#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tpbench {

/// Threads that share loops with the thread that calls. They sleep between loops, so that they take nothing
/// from the BLAS library's own threads or from other ranks.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls `body(first, last)` once per thread with contiguous pieces of [0, count); returns when all are
  /// done, and throws what the first of them to fail has thrown. `body` does not call this. Several threads
  /// may call it: one after the other.
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t, std::int64_t)>& body);

 private:
  void work(int index);
  void run_piece(int index);
  void stop();

  std::mutex one_at_a_time_;  // a thread that communicates may check what it received while another computes
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  std::uint64_t generation_ = 0;
  int running_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;  // of the loop that runs
  std::int64_t count_ = 0;
  const std::function<void(std::int64_t, std::int64_t)>* body_ = nullptr;
};

}  // namespace tpbench
