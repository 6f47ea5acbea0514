#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "comm/control.hpp"

namespace tpbench {

/// What ranks at rest cost the one that computes, once they have multiplied with oneDNN: OpenMP's workers, if
/// they spin, go on when their rank sleeps.
struct RestingRanks {
  std::int64_t threads = 0;  ///< of every rank
  double alone_s = 0;        ///< a product by OpenBLAS on one rank; the others sleep and have no workers yet
  double beside_s = 0;       ///< the same when the others have used oneDNN, and sleep

  /// Of what the product took before.
  [[nodiscard]] double cost() const { return beside_s / alone_s - 1; }
  /// Above this it is more than products differ by on a quiet machine.
  static constexpr double kBound = 0.1;
  [[nodiscard]] bool is_free() const { return cost() <= kBound; }
};

/// On the host where it costs most. Empty where no host has two ranks, or the program no oneDNN. Collective
/// over the world, with the same `threads` on all ranks; measured once in a process, as workers stay. Throws
/// AgreedError where oneDNN cannot have so many.
std::optional<RestingRanks> measure_resting_ranks(const Control& world, int threads);

/// What is wrong, with the remedy; empty where resting costs nothing.
std::optional<std::string> resting_problem(const RestingRanks& resting);

}  // namespace tpbench
