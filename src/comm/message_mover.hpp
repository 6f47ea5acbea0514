#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "comm/mpi_turn.hpp"

namespace tpbench {

/// Has MPI move messages on a thread of its own while the rank's thread computes: Open MPI moves a large one
/// only while it is called. The thread sleeps in between, as there may be no core for it.
class MessageMover {
 public:
  /// `move` makes MPI look after what is under way. It is called in a turn and takes none itself.
  explicit MessageMover(std::function<void()> move);
  ~MessageMover();
  MessageMover(const MessageMover&) = delete;
  MessageMover& operator=(const MessageMover&) = delete;

  /// From here on messages are under way, or no longer. Called by the rank's thread; after `rest` MPI is its
  /// own again.
  void wake();
  void rest();

 private:
  void work();

  std::function<void()> move_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_awake_ = false;
  bool has_failed_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace tpbench
