#include <sys/mman.h>

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "context.hpp"
#include "cuda/launch.cuh"
#include "queue.hpp"
#include "runtime.hpp"

// The names of the built-in variables stand for calls below `position()`; here they are members.
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim

namespace tpbench::cuda::emulation {
namespace {

constexpr unsigned kLanes = 32;

class Stack {
 public:
  Stack()
      : data_(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                   0)) {
    if (data_ == MAP_FAILED) abandon("no memory for the stack of a thread");
    mprotect(data_, kGuardBytes, PROT_NONE);
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() { munmap(data_, kBytes); }
  [[nodiscard]] void* data() const { return data_; }
  static constexpr std::size_t kBytes = std::size_t{1} << 17, kGuardBytes = std::size_t{1} << 12;

 private:
  void* data_;
};

// What runs threads of a block, one after the other until one of them has to wait; then another fiber takes
// the threads that have not begun.
struct Fiber {
  Context context{};
  Stack stack;
  Position position{};
  unsigned thread = 0;     // number within the block
  unsigned exchanges = 0;  // that this thread has come through
};

struct Warp {
  unsigned here = 0;  // lanes that wait for the others
  std::array<Fiber*, kLanes> fibers{};
  // Nobody is more than one exchange ahead of anybody: two sets of values suffice.
  std::array<std::array<std::uint64_t, kLanes>, 2> values{};
};

class Processor {
 public:
  void run(const char* name, dim3 grid, dim3 block, const std::function<void()>& thread) {
    name_ = name;
    body_ = &thread;
    blocks_ = grid;
    threads_ = block;
    thread_count_ = block.x * block.y * block.z;
    warps_.resize((thread_count_ + kLanes - 1) / kLanes);
    std::uint64_t number = 0;
    for (block_.z = 0; block_.z < grid.z; ++block_.z) {
      for (block_.y = 0; block_.y < grid.y; ++block_.y) {
        for (block_.x = 0; block_.x < grid.x; ++block_.x) run_block(number++);
      }
    }
    name_ = nullptr;
  }

  const Position& position() const {
    if (running_ == nullptr) abandon("a built-in variable of a kernel is read outside of one");
    return running_->position;
  }
  unsigned lane() const { return running_->thread % kLanes; }

  void wait_for_block() {
    if (at_barrier_.size() + 1 < thread_count_) {
      at_barrier_.push_back(running_);
      go_to(next());
    } else {
      for (Fiber* fiber : at_barrier_) ready_.push_back(fiber);
      at_barrier_.clear();
    }
  }

  std::uint64_t exchange(unsigned mask, std::uint64_t value, unsigned source) {
    Warp& warp = warps_[running_->thread / kLanes];
    if (mask != 0xffffffffU || thread_count_ % kLanes != 0) {
      abandon(
          "kernel %s: a warp's exchange with mask %x in a block of %u threads: only whole warps are emulated",
          name_, mask, thread_count_);
    }
    auto& values = warp.values[running_->exchanges++ % 2];
    values[lane()] = value;
    if ((warp.here | 1U << lane()) != mask) {
      warp.here |= 1U << lane();
      warp.fibers[lane()] = running_;
      go_to(next());
    } else {
      for (unsigned other = 0; other < kLanes; ++other) {
        if ((warp.here >> other & 1U) != 0) ready_.push_back(warp.fibers[other]);
      }
      warp.here = 0;
    }
    return values[source];
  }

 private:
  void run_block(std::uint64_t number) {
    begun_ = ended_ = 0;
    // Every other block lets the latest run first: what lacks a barrier is right by chance in one order only.
    latest_first_ = number % 2 == 1;
    running_ = begin_on_idle_fiber();
    switch_context(scheduler_, running_->context);
    running_ = nullptr;
  }

  void begin_thread(Fiber& fiber) {
    const unsigned number = begun_++;
    fiber.thread = number;
    fiber.exchanges = 0;
    fiber.position = {
        {number % threads_.x, number / threads_.x % threads_.y, number / threads_.x / threads_.y},
        {block_.x, block_.y, block_.z},
        threads_,
        blocks_};
  }

  Fiber* begin_on_idle_fiber() {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>());
      idle_.push_back(fibers_.back().get());
      make_context(idle_.back()->context, idle_.back()->stack.data(), Stack::kBytes, run_threads);
    }
    Fiber* fiber = idle_.back();
    idle_.pop_back();
    begin_thread(*fiber);
    return fiber;
  }

  // Who runs when the running fiber cannot go on.
  Fiber* next() {
    if (!ready_.empty()) {
      Fiber* fiber = latest_first_ ? ready_.back() : ready_.front();
      if (latest_first_)
        ready_.pop_back();
      else
        ready_.pop_front();
      return fiber;
    }
    if (begun_ < thread_count_) return begin_on_idle_fiber();
    abandon(
        "kernel %s, block (%u, %u, %u): of %u threads %zu wait for their block, %u have ended and the others "
        "wait "
        "for their warp: this would hang",
        name_, block_.x, block_.y, block_.z, thread_count_, at_barrier_.size(), ended_);
  }

  void go_to(Fiber* fiber) {
    Fiber* from = running_;
    running_ = fiber;
    switch_context(from->context, fiber->context);
  }

  void end_thread() {
    ++ended_;
    if (ready_.empty() && begun_ < thread_count_) return begin_thread(*running_);  // on this very fiber
    Fiber* from = running_;
    if (ended_ < thread_count_) {
      Fiber* to = next();
      idle_.push_back(from);
      go_to(to);
    } else {
      idle_.push_back(from);
      switch_context(from->context, scheduler_);
    }
  }

  static void run_threads();

  const char* name_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  dim3 blocks_, threads_;
  uint3 block_{};
  unsigned thread_count_ = 0, begun_ = 0, ended_ = 0;
  bool latest_first_ = false;

  Context scheduler_{};
  Fiber* running_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_, at_barrier_;
  std::deque<Fiber*> ready_;
  std::vector<Warp> warps_;
};

Processor& processor() {
  thread_local Processor of_this_thread;
  return of_this_thread;
}

void Processor::run_threads() {
  Processor& self = processor();
  while (true) {
    (*self.body_)();
    self.end_thread();
  }
}

bool fits_device(dim3 grid, dim3 block) {
  constexpr unsigned kMostBlocksX = 0x7fffffffU, kMostBlocks = 65535, kMostThreads = 1024;
  return grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= kMostBlocksX && grid.y <= kMostBlocks &&
         grid.z <= kMostBlocks && block.x > 0 && block.y > 0 && block.z > 0 && block.x <= kMostThreads &&
         block.y <= kMostThreads && block.z <= 64 && block.x * block.y * block.z <= kMostThreads;
}

}  // namespace

const Position& position() { return processor().position(); }
unsigned lane() { return processor().lane(); }
void wait_for_block() { processor().wait_for_block(); }
std::uint64_t exchange_in_warp(unsigned mask, std::uint64_t value, unsigned source) {
  return processor().exchange(mask, value, source);
}

void run_grid(const char* name, dim3 grid, dim3 block, cudaStream_t queue, std::function<void()> thread) {
  if (enter("cudaLaunchKernel") != cudaSuccess) return;
  if (!fits_device(grid, block)) {
    leave(cudaErrorInvalidConfiguration);
  } else if (leave(check_stream(queue)) == cudaSuccess) {
    give(queue, [=, thread = std::move(thread)] { processor().run(name, grid, block, thread); });
  }
}

}  // namespace tpbench::cuda::emulation
