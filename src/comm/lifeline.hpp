#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "comm/control.hpp"

namespace tpbench {

/// What has been heard of a rank of another host.
struct PeerNews {
  enum class Kind {
    ended,        ///< the process has ended without a word
    unreachable,  ///< its host answers no more
    leaving,      ///< it was told to end, and the job with it
    report        ///< it says in `text` what it has seen on its host, and that the job must end
  };
  Kind kind = Kind::ended;
  std::int64_t world_rank = 0;
  std::string who;   ///< "rank 4 (process 123 on n1)"
  std::string host;  ///< "n1"
  std::string text;
};

/// A TCP connection between world rank 0 and the first rank of each other host. Nothing travels on it while all
/// is well: the kernels tell when a process at the other end has ended, at once, and when its host answers no
/// more, within eight seconds. A process that only stands still keeps it. Beside MPI, whose calls wait for
/// ever for a peer that is gone. Where no connection comes about (a firewall), nothing is heard. Used by one
/// thread at a time.
class Lifeline {
 public:
  /// Collective over `world`. `host_of` as Session::host_of(). Does not wait for connections: `read` makes
  /// them.
  Lifeline(const Control& world, std::span<const int> host_of);
  /// Tells the others first that this end is no news.
  ~Lifeline();
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;

  /// To be polled for reading; -1 where this rank has no connection to expect.
  [[nodiscard]] int descriptor() const;
  /// What has come since the last call. Never waits.
  std::vector<PeerNews> read();
  /// Tells all that are connected. Never waits.
  void say_leaving();
  void report(const std::string& text);
  /// How many others are connected and have said nothing yet.
  [[nodiscard]] std::size_t connected() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;  // empty where this rank has none
};

}  // namespace tpbench
