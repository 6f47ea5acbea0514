#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/host_identity.hpp"
#include "comm/control.hpp"
#include "comm/shared_memory.hpp"

namespace tpbench {

/// How far apart the cores are that ranks of one host run on: what a cache line takes from one rank to its
/// neighbour. In a virtual machine the cores under the ranks change without a word: the same two CPUs were
/// seen to be two threads of a core (25 ns), two cores with one last cache (55 ns) and two without (250 ns),
/// and all that ranks say to each other through memory went with it.
class CoreLatency {
 public:
  /// Collective over `ranks`; hosts are told apart by `identity`. Where the ranks of a host cannot share
  /// memory, or have less than a CPU each, that host has no latency.
  explicit CoreLatency(const Control& ranks, const std::string& identity = host_identity());

  /// Seconds one way, half of a round trip, of the pair of neighbours that takes longest on any host: ranks 0
  /// and 1, 1 and 2, ... of each; the median of five series. Empty where no two ranks share a host. The same
  /// on all ranks. Collective; takes about 1 ms.
  [[nodiscard]] std::optional<double> slowest_s();

 private:
  // Each is written by one of the two ranks; lines that are fetched in pairs are kept apart.
  struct Lines {
    alignas(128) std::atomic<std::uint64_t> to{0};
    alignas(128) std::atomic<std::uint64_t> back{0};
  };

  std::optional<double> lead();
  void follow(int leader);
  [[nodiscard]] Lines& lines_of(int leader) const;

  Control ranks_;
  Control host_;
  std::unique_ptr<SharedMemory> memory_;  // nullptr: this host has no latency
  std::uint64_t turn_ = 0;                // of the pair that this rank leads
  std::uint64_t followed_ = 0;            // what this rank has last seen of the pair that it follows in
};

}  // namespace tpbench
