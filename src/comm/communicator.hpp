#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/data_path.hpp"
#include "base/dtype.hpp"
#include "comm/control.hpp"
#include "tensor/matrix.hpp"

namespace tpbench {

class DeviceSide;
class PointToPoint;
struct PointToPointNeeds;

/// What an all-reduce makes of the ranks' elements.
enum class Reduction { sum, max };

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
                             std::int64_t columns) {
    return {memory.allocate(category, rows * columns * size_of(dtype)), dtype, rows, columns};
  }

  /// Where operands of this type go through.
  [[nodiscard]] virtual DataPath data_path(DType /*dtype*/) const { return DataPath::host; }

  /// Reduces `count` elements at `data` over all ranks of the group, in place. Maxima are taken in f32 and
  /// f64.
  virtual void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) = 0;
  void all_reduce_sum(void* data, std::int64_t count, DType dtype) {
    all_reduce(data, count, dtype, Reduction::sum);
  }
  /// Puts rank r's `shard_count` elements at whole[r * shard_count].
  virtual void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) = 0;
  /// shard = the sum over ranks of whole[rank * shard_count ... + shard_count).
  virtual void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) = 0;
};

/// Where the ranks of a group are: rank r on host host_of[r], with its operands on device device_of[r], or in
/// host memory when device_of is empty. Equal numbers are one host, one device.
struct GroupPlaces {
  std::span<const int> host_of;
  std::span<const int> device_of;
  /// A thread beside the main one may communicate: what BackgroundReducer needs of the MPI library.
  bool threads_may_communicate = true;
};

/// Where an algorithm takes its operands.
enum class Operands { host, device, anywhere };

/// One row of the table of algorithms. `group` is the control of the very ranks that share a layer, and
/// `device` where their operands lie: null for host memory.
struct AlgorithmEntry {
  std::string_view name;
  Operands operands;
  std::span<const DType> dtypes;  ///< that it sums
  std::unique_ptr<Communicator> (*make)(const Control& group, DeviceSide* device);
  /// Why it cannot carry a group that is so placed, its operands being where it takes them; empty when it
  /// can. Other algorithms are not named: why_not_carried knows them.
  std::optional<std::string> (*why_not_placed)(const GroupPlaces& places);
  /// What it sends messages between stages by, whose operands then lie where those of a collective do: it
  /// must be able to carry all ranks of a pipeline. Null: they go by what reaches the peer, through host
  /// memory.
  std::unique_ptr<PointToPoint> (*connect)(const Control& stages, const PointToPointNeeds& needs,
                                           DeviceSide* device) = nullptr;
};

std::span<const AlgorithmEntry> all_algorithms();
const AlgorithmEntry* find_algorithm(std::string_view name);

/// Why the algorithm cannot carry such a group, and which ones can; empty when it can. Asked before a case
/// starts, on every rank of the world.
std::optional<std::string> why_not_carried(const AlgorithmEntry& algorithm, const GroupPlaces& places,
                                           DType dtype);

}  // namespace tpbench
