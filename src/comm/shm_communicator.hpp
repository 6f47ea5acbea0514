#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "comm/communicator.hpp"

namespace tpbench {

/// Sizes at which the ways of algorithm `shm` change; tests set them low.
struct ShmSizes {
  /// Up to this many bytes of all ranks together an operand goes through the slots, where everybody sums
  /// everything: one meeting instead of two. Measured (docs/decisions/0009).
  std::int64_t one_shot_bytes = 1 << 10;
  /// What an operand that lies in no shared matrix is cut into.
  std::int64_t slot_bytes = 256 << 10;
};

/// Collectives of the ranks of one host, by loads and stores in memory that they share.
///   all_reduce: each rank sums its slice of all ranks' arrays straight into all of them
///   all_gather: each rank reads the others' shards; reduce_scatter: each sums its part of the others' arrays
/// Operands in matrices of make_matrix are used where they lie, others are passed through the slots.
/// Every rank gets the same bits. Throws CaseError when memory cannot be shared.
std::unique_ptr<Communicator> make_shm_communicator(const Control& group, ShmSizes sizes = {});

/// Why `shm` cannot carry a group whose rank r is on host host_of[r]; empty when it can.
std::optional<std::string> why_not_shm(std::span<const int> host_of);

}  // namespace tpbench
