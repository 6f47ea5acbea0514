#include "comm/background_reducer.hpp"

#include <utility>

#include "comm/device_side.hpp"

namespace tpbench {

BackgroundReducer::BackgroundReducer(Communicator& communicator, DeviceSide* device)
    : communicator_(communicator), device_(device), thread_([this] { work(); }) {}

BackgroundReducer::~BackgroundReducer() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  started_.notify_all();
  thread_.join();
}

void BackgroundReducer::start(void* data, std::int64_t count, DType dtype) {
  std::shared_ptr<void> ready = device_ == nullptr ? nullptr : device_->point();
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({data, count, dtype, std::move(ready)});
  }
  started_.notify_one();
}

void BackgroundReducer::wait() {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return tasks_.empty(); });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  if (last_) device_->come_after(std::exchange(last_, nullptr));
}

void BackgroundReducer::drain() noexcept {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return tasks_.empty(); });
  failure_ = nullptr;
  try {
    if (last_) device_->come_after(std::exchange(last_, nullptr));
  } catch (...) {  // it is the other failure that is told
    last_ = nullptr;
  }
}

void BackgroundReducer::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    started_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const Task task = tasks_.front();
    const bool failed = failure_ != nullptr;
    lock.unlock();
    std::exception_ptr failure;
    try {
      // After a failure the other ranks do not come either.
      if (!failed) {
        if (device_ != nullptr) device_->come_after(task.ready);
        communicator_.all_reduce_sum(task.data, task.count, task.dtype);
        if (device_ != nullptr) last_ = device_->point();
      }
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) failure_ = failure;
    tasks_.pop_front();
    if (tasks_.empty()) done_.notify_all();
  }
}

}  // namespace tpbench
