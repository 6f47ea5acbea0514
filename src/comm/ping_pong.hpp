#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/control.hpp"

namespace tpbench {

/// Messages of one size to and fro between the two ranks of `pair`, by MPI's blocking send and receive: rank
/// 0 sends, rank 1 sends back what came. Both ranks call the same things in the same order.
class PingPong {
 public:
  /// Room for messages of up to `max_bytes`, from 1 to 2^31 - 1. Throws std::invalid_argument for another
  /// size or for a group that is no pair.
  PingPong(const Control& pair, std::int64_t max_bytes);

  /// Makes ready a payload of `bytes` that depends on `stamp`, and fills what is received into with other
  /// bytes at every place. Not timed, does not communicate.
  void prepare(std::int64_t bytes, std::uint64_t stamp);

  /// `rounds` round trips of the payload, and nothing else: the call that is timed. Throws CommError.
  void run(std::int64_t rounds);

  /// The first byte of what this rank received last that is not the payload's, in words; empty when all are.
  /// Rank 0 sees what went both ways.
  [[nodiscard]] std::optional<std::string> find_wrong_byte() const;

  /// What rank 0 sends.
  [[nodiscard]] std::span<std::byte> payload() { return std::span(sent_).first(bytes_); }

 private:
  Control pair_;
  std::vector<std::byte> sent_;      // of rank 0
  std::vector<std::byte> received_;  // of rank 1 also what it sends back
  std::size_t bytes_ = 0;
  std::uint64_t stamp_ = 0;
};

}  // namespace tpbench
