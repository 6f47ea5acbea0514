#include "queue.hpp"

#include <thread>
#include <utility>
#include <vector>

#include "machine.hpp"

namespace tpbench::cuda::emulation {

std::uint64_t Queue::give(Work work) {
  const std::lock_guard lock(adding_);
  work_.push_back(std::move(work));
  return ++given_;
}

std::uint64_t Queue::given() {
  const std::lock_guard lock(adding_);
  return given_;
}

void Queue::do_until(std::uint64_t place) {
  // Who works on it may do more than is asked for here, and wait for a peer behind that.
  std::unique_lock working(working_, std::try_to_lock);
  while (!working.owns_lock() && !has_done(place)) {
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    working.try_lock();
  }
  while (!has_done(place)) {
    Work work;
    {
      const std::lock_guard lock(adding_);
      work = std::move(work_.front());
      work_.pop_front();
    }
    if (!has_failed()) work();  // a device that has failed does nothing more, and nobody waits for its peers
    ++done_;
  }
}

Place give(cudaStream_t stream, Queue::Work work) {
  const std::shared_ptr<Queue> queue = queue_of(stream);
  if (queue == nullptr) {
    work();
    return {};
  }
  const std::uint64_t number = queue->give(std::move(work));
  return {queue, number};
}

void do_all_work() {
  for (const std::shared_ptr<Queue>& queue : all_queues()) queue->do_all();
}

}  // namespace tpbench::cuda::emulation
