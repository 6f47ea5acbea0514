#include "comm/shared_team.hpp"

#include <sched.h>

#include <algorithm>
#include <new>
#include <string>

#include "base/error.hpp"
#include "comm/polling.hpp"

namespace tpbench {
namespace {

constexpr std::int64_t kPostsBytes = 4096;  // a page, so that slots begin on one
constexpr std::int64_t kSlotAlignment = 128;
constexpr int kSpins = 1000;  // some ten microseconds: longer than ranks differ when all is well

}  // namespace

SharedTeam::SharedTeam(const Control& group, std::int64_t slot_bytes)
    : group_(group),
      rank_(group.rank()),
      size_(group.size()),
      slot_bytes_((slot_bytes + kSlotAlignment - 1) / kSlotAlignment * kSlotAlignment),
      spins_(group.size() > cpus_of(group) ? 0 : kSpins),
      memory_(group, kPostsBytes + 2 * slot_bytes_),
      windows_(std::make_shared<std::vector<Window>>()),
      data_(static_cast<std::size_t>(group.size())) {
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a lock does not work between processes");
  static_assert(2 * sizeof(Post) <= kPostsBytes);
  new (memory_.segment(rank_)) Post[2];
  group.barrier();
}

Matrix SharedTeam::make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                               std::int64_t columns) {
  const std::int64_t bytes = rows * columns * size_of(dtype);
  const auto shared = std::make_shared<SharedMemory>(group_, bytes);
  const std::int64_t id = made_++;
  windows_->push_back({id, bytes, shared.get()});
  const std::shared_ptr<void> mine(shared->segment(rank_), [shared, id, windows = windows_](void*) {
    std::erase_if(*windows, [id](const Window& window) { return window.id == id; });
  });
  return {memory.adopt(category, bytes, mine), dtype, rows, columns};
}

void SharedTeam::meet() {
  post(kPrivate, 0);
  wait();
}

bool SharedTeam::meet_with(const void* data, std::int64_t bytes) {
  const auto* mine = static_cast<const std::byte*>(data);
  std::int64_t id = kPrivate, offset = 0;
  for (const Window& window : *windows_) {
    const std::byte* base = window.memory->segment(rank_);
    if (mine < base || mine + bytes > base + window.bytes) continue;
    id = window.id;
    offset = mine - base;
  }
  post(id, offset);
  wait();
  for (int r = 0; r < size_; ++r) {
    const Post& post = post_of(r);
    if (post.window == kPrivate) return false;
    const auto found = std::find_if(windows_->begin(), windows_->end(),
                                    [&](const Window& window) { return window.id == post.window; });
    if (found == windows_->end())
      throw CommError("rank " + std::to_string(r) + " uses shared memory that is freed here");
    data_[static_cast<std::size_t>(r)] = found->memory->segment(r) + post.offset;
  }
  return true;
}

void SharedTeam::post(std::int64_t window, std::int64_t offset) {
  ++step_;
  Post& mine = post_of(rank_);
  mine.window = window;
  mine.offset = offset;
  mine.step.store(step_, std::memory_order_release);
}

void SharedTeam::wait() const {
  for (int r = 0; r < size_; ++r) {
    const std::atomic<std::uint64_t>& step = post_of(r).step;
    for (int polls = 0; step.load(std::memory_order_acquire) < step_; ++polls) {
      if (polls < spins_) {
        pause_core();
      } else {
        sched_yield();
        polls = spins_;
      }
    }
  }
}

SharedTeam::Post& SharedTeam::post_of(int rank) const {
  return *std::launder(reinterpret_cast<Post*>(memory_.segment(rank)) + step_ % 2);
}

std::byte* SharedTeam::slot(int rank, std::uint64_t step) const {
  return memory_.segment(rank) + kPostsBytes + static_cast<std::int64_t>(step % 2) * slot_bytes_;
}

}  // namespace tpbench
