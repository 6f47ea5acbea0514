#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/dtype.hpp"
#include "comm/control.hpp"
#include "tensor/matrix.hpp"

namespace tpbench {

/// The collectives of one group, carried by one algorithm: the calls that are timed. Each is collective over
/// the group, returns once its result is usable on this rank, and throws CommError.
class Communicator {
 public:
  virtual ~Communicator() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;

  /// A matrix that this algorithm can reduce or gather without copying it first; by default the backend's
  /// memory. Collective, as the calls below: every rank asks for the same. Collectives take operands from
  /// anywhere; those in matrices made here, at any place in them, may be faster.
  virtual Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                             std::int64_t columns);

  /// Sums `count` elements at `data` over all ranks of the group, in place.
  virtual void all_reduce_sum(void* data, std::int64_t count, DType dtype) = 0;
  /// Puts rank r's `shard_count` elements at whole[r * shard_count].
  virtual void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) = 0;
  /// shard = the sum over ranks of whole[rank * shard_count ... + shard_count).
  virtual void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) = 0;
};

/// One row of the table of algorithms. `group` is the control of the very ranks that share a layer.
struct AlgorithmEntry {
  std::string_view name;
  std::unique_ptr<Communicator> (*make)(const Control& group);
  /// Why this algorithm cannot carry a group whose rank r is on host host_of[r], in words that say what
  /// would work; empty when it can. Asked before a case starts, on every rank of the world.
  std::optional<std::string> (*why_not)(std::span<const int> host_of);
};

std::span<const AlgorithmEntry> all_algorithms();
const AlgorithmEntry* find_algorithm(std::string_view name);

}  // namespace tpbench
