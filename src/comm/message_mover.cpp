#include "comm/message_mover.hpp"

#include <sys/prctl.h>
#include <time.h>

#include <utility>

#include "base/error.hpp"

namespace tpbench {
namespace {

// A wake-up costs a rank without a core to spare some microseconds. In this time 1 Gbit/s brings 25 KB, 100
// Gbit/s 2.5 MB: what a socket's buffers hold.
constexpr long kPauseNs = 200'000;

void pause() {
  const timespec pause = {0, kPauseNs};
  nanosleep(&pause, nullptr);
}

}  // namespace

MessageMover::MessageMover(std::function<void()> move)
    : move_(std::move(move)), thread_([this] { work(); }) {}

MessageMover::~MessageMover() {
  rest();
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  woken_.notify_all();
  thread_.join();
}

void MessageMover::wake() {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(is_awake_, true)) ++MpiTurn::movers_awake_;
  }
  woken_.notify_one();
}

// The thread holds the mutex while it calls MPI.
void MessageMover::rest() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(is_awake_, false)) --MpiTurn::movers_awake_;
}

void MessageMover::work() {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // nanoseconds; 50 us unless said
  std::unique_lock lock(mutex_);
  for (;;) {
    woken_.wait(lock, [this] { return stop_ || (is_awake_ && !has_failed_); });
    if (stop_) return;
    lock.unlock();
    pause();
    lock.lock();
    const std::unique_lock turn(MpiTurn::mutex_, std::try_to_lock);  // who else has it moves messages as well
    if (!turn.owns_lock() || !is_awake_) continue;
    try {
      move_();
    } catch (const CommError&) {  // the rank's own calls meet it too
      has_failed_ = true;
    }
  }
}

}  // namespace tpbench
