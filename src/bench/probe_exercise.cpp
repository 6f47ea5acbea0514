#include "bench/probe_exercise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "comm/ping_pong.hpp"

namespace tpbench {
namespace {

class PingPongExercise final : public ProbeExercise {
 public:
  PingPongExercise(const Control& pair, std::int64_t max_bytes) : ping_pong_(pair, max_bytes) {}

  void prepare(std::int64_t bytes, std::uint64_t stamp, bool) override { ping_pong_.prepare(bytes, stamp); }
  void run(std::int64_t rounds) override { ping_pong_.run(rounds); }
  std::optional<std::string> find_fault() const override { return ping_pong_.find_wrong_byte(); }
  std::int64_t calls_per_round() const override { return 2; }

 private:
  PingPong ping_pong_;
};

// In place and in f32, as in a sweep. A single round sums whole numbers, which are exact in any order;
// several rounds sum zeros, as anything else would grow without bounds.
class AllReduceExercise final : public ProbeExercise {
 public:
  AllReduceExercise(const Control& group, std::int64_t max_bytes, const Parts& parts)
      : communicator_(parts.make_communicator("mpi", group, nullptr)),
        values_(static_cast<std::size_t>(max_bytes) / sizeof(float)) {}

  void prepare(std::int64_t bytes, std::uint64_t stamp, bool repeats) override {
    count_ = static_cast<std::size_t>(bytes) / sizeof(float);
    stamp_ = stamp;
    repeats_ = repeats;
    for (std::size_t i = 0; i < count_; ++i)
      values_[i] = repeats ? 0.0F : base(i) + static_cast<float>(communicator_->rank());
  }

  void run(std::int64_t rounds) override {
    for (std::int64_t i = 0; i < rounds; ++i)
      communicator_->all_reduce_sum(values_.data(), static_cast<std::int64_t>(count_), DType::f32);
  }

  std::optional<std::string> find_fault() const override {
    const auto n = static_cast<float>(communicator_->size());
    for (std::size_t i = 0; i < count_; ++i) {
      const float expected = repeats_ ? 0.0F : n * base(i) + n * (n - 1) / 2;
      if (values_[i] != expected)
        return fmt::format("entry {} of {} of an all-reduce is {} and should be {}", i, count_, values_[i],
                           expected);
    }
    return std::nullopt;
  }

  std::int64_t calls_per_round() const override { return 1; }

 private:
  [[nodiscard]] float base(std::size_t i) const {
    return static_cast<float>((i * 7 + static_cast<std::size_t>(stamp_) * 13) % 64 + 1);
  }

  std::unique_ptr<Communicator> communicator_;
  std::vector<float> values_;
  std::size_t count_ = 0;
  std::uint64_t stamp_ = 0;
  bool repeats_ = false;
};

}  // namespace

std::unique_ptr<ProbeExercise> make_exercise(ProbeOperation operation, const Control& group,
                                             std::int64_t max_bytes, const Parts& parts) {
  if (operation == ProbeOperation::ping_pong) return std::make_unique<PingPongExercise>(group, max_bytes);
  return std::make_unique<AllReduceExercise>(group, max_bytes, parts);
}

}  // namespace tpbench
