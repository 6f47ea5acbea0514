#include <fmt/format.h>

#include <atomic>
#include <cstring>
#include <new>
#include <stdexcept>
#include <vector>

#include "base/error.hpp"
#include "comm/point_to_point.hpp"
#include "comm/shared_memory.hpp"

namespace tpbench {
namespace {

enum class PostState : std::uint32_t { free, posted, arrived };

// What a rank says of one of its receives, at the front of its segment. A cache line of its own, and the
// neighbour that is fetched with it.
struct alignas(128) Post {
  std::atomic<PostState> state{PostState::free};
  std::int32_t from = 0;
  std::int32_t tag = 0;
  std::int64_t offset = 0;  // in the segment
  std::int64_t bytes = 0;
};

class ShmPointToPoint final : public PointToPoint {
 public:
  ShmPointToPoint(const Control& ranks, const PointToPointNeeds& needs)
      : ranks_(ranks),
        posts_(static_cast<std::size_t>(ranks.max(static_cast<std::int64_t>(needs.tickets)))),
        memory_(std::make_shared<SharedMemory>(
            ranks, static_cast<std::int64_t>(posts_ * sizeof(Post)) + needs.landing_bytes)),
        next_landing_(static_cast<std::int64_t>(posts_ * sizeof(Post))),
        end_(next_landing_ + needs.landing_bytes),
        sends_(needs.tickets) {
    static_assert(std::atomic<PostState>::is_always_lock_free, "a lock does not work between processes");
    for (std::size_t i = 0; i < posts_; ++i) new (&post_of(ranks_.rank(), i)) Post;
    ranks_.barrier();
  }

  int rank() const override { return ranks_.rank(); }

  Matrix make_landing(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                      std::int64_t columns) override {
    const std::int64_t bytes = rows * columns * size_of(dtype);
    if (next_landing_ + landing_bytes_of(bytes) > end_)
      throw std::logic_error("PointToPoint: more landings than were asked for");
    const std::shared_ptr<void> place(memory_, memory_->segment(ranks_.rank()) + next_landing_);
    next_landing_ += landing_bytes_of(bytes);
    return {memory.adopt(category, bytes, place), dtype, rows, columns};
  }

  void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) override {
    Post& post = post_of(ranks_.rank(), ticket);
    post.from = from;
    post.tag = tag;
    post.offset = data.data() - memory_->segment(ranks_.rank());
    post.bytes = static_cast<std::int64_t>(data.size());
    if (post.offset < 0 || post.offset + post.bytes > end_)
      throw std::logic_error("PointToPoint: received into what is no landing");
    post.state.store(PostState::posted, std::memory_order_release);
  }

  void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) override {
    sends_[ticket] = {to, tag, data, true};
    deliver(sends_[ticket]);
  }

  bool is_done(std::size_t ticket) override {
    progress();
    if (sends_[ticket].waits) return false;
    Post& post = post_of(ranks_.rank(), ticket);
    const PostState state = post.state.load(std::memory_order_acquire);
    if (state == PostState::posted) return false;
    if (state == PostState::arrived) post.state.store(PostState::free, std::memory_order_relaxed);
    return true;
  }

  void progress() override {
    for (Send& send : sends_) deliver(send);
  }

 private:
  struct Send {
    int to = 0, tag = 0;
    std::span<const std::byte> data = {};
    bool waits = false;
  };

  [[nodiscard]] Post& post_of(int rank, std::size_t ticket) const {
    return reinterpret_cast<Post*>(memory_->segment(rank))[ticket];
  }

  // Writes the message to where its receiver has posted it, if it has.
  void deliver(Send& send) {
    if (!send.waits) return;
    for (std::size_t i = 0; i < posts_; ++i) {
      Post& post = post_of(send.to, i);
      if (post.state.load(std::memory_order_acquire) != PostState::posted || post.from != ranks_.rank() ||
          post.tag != send.tag)
        continue;
      if (post.bytes != static_cast<std::int64_t>(send.data.size()))
        throw CommError(fmt::format("a message of {} bytes was sent where {} were expected", send.data.size(),
                                    post.bytes));
      std::memcpy(memory_->segment(send.to) + post.offset, send.data.data(), send.data.size());
      post.state.store(PostState::arrived, std::memory_order_release);
      send.waits = false;
      return;
    }
  }

  Control ranks_;
  std::size_t posts_;  // of each rank
  std::shared_ptr<SharedMemory> memory_;
  std::int64_t next_landing_, end_;  // in this rank's segment
  std::vector<Send> sends_;          // by ticket
};

}  // namespace

std::unique_ptr<PointToPoint> make_shm_point_to_point(const Control& ranks, const PointToPointNeeds& needs) {
  return std::make_unique<ShmPointToPoint>(ranks, needs);
}

}  // namespace tpbench
