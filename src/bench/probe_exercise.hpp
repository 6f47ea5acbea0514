#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "advisor/probed_path.hpp"
#include "bench/parts.hpp"
#include "comm/control.hpp"

namespace tpbench {

/// What a probe times on one path, and how it knows that the bytes arrived. All ranks of the path call the
/// same things in the same order.
class ProbeExercise {
 public:
  virtual ~ProbeExercise() = default;

  /// Makes ready a message of `bytes`, a multiple of 8, whose contents depend on `stamp`. `repeats` says that
  /// the next `run` has several rounds, whose result must still be known. Communicates nothing.
  virtual void prepare(std::int64_t bytes, std::uint64_t stamp, bool repeats) = 0;
  /// The call that is timed.
  virtual void run(std::int64_t rounds) = 0;
  /// What is wrong with what the last `run` left on this rank, in words; empty when nothing is.
  [[nodiscard]] virtual std::optional<std::string> find_fault() const = 0;
  /// Operations in one round: a round trip is two messages.
  [[nodiscard]] virtual std::int64_t calls_per_round() const = 0;
};

/// `group` are the ranks of the path, `max_bytes` the largest message.
std::unique_ptr<ProbeExercise> make_exercise(ProbeOperation operation, const Control& group,
                                             std::int64_t max_bytes, const Parts& parts);

}  // namespace tpbench
