#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/control.hpp"
#include "comm/shared_memory.hpp"
#include "tensor/matrix.hpp"

namespace tpbench {

/// The ranks of one host, working on memory that they have in common: how they meet, where each finds the
/// others' data. What a collective does in between is written in the communicators that use it.
///
/// Every call is made by all ranks, in the same order. A rank that waits polls for some ten microseconds and
/// then gives its core away between polls (at once when there are more ranks than cores); it waits forever
/// if a peer does not come, which is what the guard of the job looks for.
class SharedTeam {
 public:
  /// `group` is on one host. Each rank has two slots of at least `slot_bytes`, used in turn. Throws
  /// CaseError.
  SharedTeam(const Control& group, std::int64_t slot_bytes);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] std::int64_t slot_bytes() const { return slot_bytes_; }

  /// A matrix that the others can reach, counted by `memory` as any other. Freed at the same point of the
  /// program on every rank, but without waiting for them.
  Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                     std::int64_t columns);

  /// Returns when all ranks have come; what they wrote before, this rank sees.
  void meet();
  /// The same, and returns on all ranks whether the `bytes` at `data` of every rank lie in a matrix made
  /// here, at any place in it; data_of() then says where, until this rank calls meet_with again.
  bool meet_with(const void* data, std::int64_t bytes);
  [[nodiscard]] std::span<std::byte* const> data() const { return data_; }

  /// Where this rank puts what the others shall read after the next meeting, and where they have put theirs
  /// for the last one: that stays until this rank comes to the next meeting.
  [[nodiscard]] std::byte* next_slot() const { return slot(rank_, step_ + 1); }
  [[nodiscard]] std::byte* slot_of(int rank) const { return slot(rank, step_); }

 private:
  // What a rank says at a meeting; of every second meeting, as a slow rank may still read it while a fast one
  // comes to the next. No two ranks write to one cache line, or to neighbours that are fetched in pairs.
  struct alignas(128) Post {
    std::atomic<std::uint64_t> step{0};
    std::int64_t window = kPrivate;
    std::int64_t offset = 0;
  };
  // This rank's matrices; `id` is the same on all ranks.
  struct Window {
    std::int64_t id;
    std::int64_t bytes;
    const SharedMemory* memory;
  };
  static constexpr std::int64_t kPrivate = -1;

  void post(std::int64_t window, std::int64_t offset);
  void wait() const;
  [[nodiscard]] std::byte* slot(int rank, std::uint64_t step) const;
  [[nodiscard]] Post& post_of(int rank) const;

  Control group_;
  int rank_;
  int size_;
  std::int64_t slot_bytes_;
  int spins_;
  SharedMemory memory_;  // per rank: two posts and two slots
  std::uint64_t step_ = 0;
  std::int64_t made_ = 0;
  std::shared_ptr<std::vector<Window>> windows_;  // matrices may outlive the team
  std::vector<std::byte*> data_;
};

}  // namespace tpbench
