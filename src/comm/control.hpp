#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/host_identity.hpp"

namespace tpbench {

/// An MPI communicator, held so that no other room sees <mpi.h>.
struct MpiHandle;

/// What ranks say to each other around the measurement: decisions, agreement, samples. Never timed. All calls
/// are collective over the ranks of this object, and throw CommError when MPI reports a failure.
class Control {
 public:
  explicit Control(std::shared_ptr<MpiHandle> handle);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }

  /// Element-wise over ranks; every rank gets the result in `values`. All ranks pass the same length.
  void reduce_max(std::span<double> values) const;
  void reduce_max(std::span<std::int64_t> values) const;
  void reduce_min(std::span<double> values) const;
  void reduce_min(std::span<std::int64_t> values) const;
  void reduce_sum(std::span<double> values) const;
  void reduce_sum(std::span<std::int64_t> values) const;
  /// The union of bit sets.
  void reduce_or(std::span<std::uint64_t> sets) const;
  [[nodiscard]] double max(double value) const;
  [[nodiscard]] std::int64_t max(std::int64_t value) const;
  /// Nothing as soon as one rank has nothing.
  [[nodiscard]] std::optional<std::int64_t> max(std::optional<std::int64_t> value) const;
  [[nodiscard]] double min(double value) const;
  [[nodiscard]] std::int64_t min(std::int64_t value) const;

  /// Every rank gets rank 0's value.
  [[nodiscard]] std::int64_t broadcast(std::int64_t value) const;
  [[nodiscard]] std::string broadcast(std::string text) const;

  /// Rank r's text at [r] on rank 0; empty on the others.
  [[nodiscard]] std::vector<std::string> gather(const std::string& text) const;
  /// Rank r's text at [r] on every rank.
  [[nodiscard]] std::vector<std::string> all_gather(const std::string& text) const;

  /// Every rank says what is wrong with it, if anything; every rank learns the lowest failing rank's words.
  [[nodiscard]] std::optional<std::string> agree(const std::optional<std::string>& problem) const;

  /// The ranks that pass the same `colour`, in the order that they have here.
  [[nodiscard]] Control split(int colour) const;

  /// Returns when all ranks have come. Ranks that came early sleep instead of spinning, so that they take no
  /// cycle from ranks that still measure; `waiting` is called about every millisecond.
  void sleeping_barrier(const std::function<void()>& waiting) const;

  /// The usual barrier, spinning: what stands before each sample.
  void barrier() const;

  [[nodiscard]] const std::shared_ptr<MpiHandle>& handle() const { return handle_; }

 private:
  std::shared_ptr<MpiHandle> handle_;
  int rank_ = 0;
  int size_ = 1;
};

/// Where the ranks of a group are, [r] for rank r; hosts and nodes are numbered in order of first appearance.
struct Hosts {
  std::vector<int> host_of;
  /// What MPI takes for one node: its ranks share memory. A node has several hosts where a launcher starts
  /// ranks in containers of their own.
  std::vector<int> node_of;
};

/// Hosts are told apart by `identity`, equal on ranks of one host, and never span nodes. Collective.
Hosts find_hosts(const Control& group, const std::string& identity = host_identity());

}  // namespace tpbench
