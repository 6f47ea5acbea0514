#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/control.hpp"
#include "comm/lifeline.hpp"
#include "measure/heartbeat.hpp"

namespace tpbench {

/// MPI from its start to its end, and what is known about where the ranks are. One per process.
class Session {
 public:
  /// Starts MPI and asks it for MPI_THREAD_SERIALIZED: a thread may communicate while the one that waits for
  /// it computes. `alone` is true when no launcher started this process: then MPI is kept from starting a
  /// daemon of its own. From then on a write to a peer that is gone is an error, and no SIGPIPE that ends
  /// this process. Throws EnvironmentError when MPI cannot start.
  explicit Session(bool alone);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const Control& world() const { return *world_; }
  /// The ranks of this host, in world order.
  [[nodiscard]] const Control& host() const { return *host_; }
  /// host_of()[r] numbers the host of world rank r, in order of first appearance. Hosts have kernels or names
  /// of their own.
  [[nodiscard]] std::span<const int> host_of() const { return hosts_.host_of; }
  /// The same for what MPI takes for one node (Hosts).
  [[nodiscard]] std::span<const int> node_of() const { return hosts_.node_of; }
  [[nodiscard]] int host_count() const { return host_count_; }
  /// Whether every rank got the thread level asked for.
  [[nodiscard]] bool threads_may_communicate() const { return threads_may_communicate_; }

  /// This rank's heartbeat, and those of all ranks of this host (its own among them), in shared memory.
  [[nodiscard]] Heartbeat& heartbeat() { return *heartbeat_; }
  [[nodiscard]] std::span<const Heartbeat* const> host_heartbeats() const { return heartbeats_; }

  /// To the other hosts, past MPI.
  [[nodiscard]] Lifeline& lifeline() { return *lifeline_; }

  /// A communicator over the given world ranks, in that order; collective over exactly those ranks.
  [[nodiscard]] Control make_group(std::span<const int> world_ranks, int tag) const;

 private:
  void share_heartbeats();

  std::unique_ptr<Control> world_;
  std::unique_ptr<Control> host_;
  Hosts hosts_;
  int host_count_ = 1;
  bool threads_may_communicate_ = false;
  std::shared_ptr<void> window_;  // the shared memory of the heartbeats
  Heartbeat* heartbeat_ = nullptr;
  std::vector<const Heartbeat*> heartbeats_;
  std::unique_ptr<Lifeline> lifeline_;
};

/// Ends all ranks of the job at once with `status`. Does not return. For when the state of the ranks is
/// unknown.
[[noreturn]] void abort_job(int status);

}  // namespace tpbench
