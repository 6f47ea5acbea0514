#include "comm/hierarchical_communicator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "base/error.hpp"
#include "comm/mpi_communicator.hpp"
#include "comm/placement.hpp"
#include "comm/shared_team.hpp"
#include "comm/shm_communicator.hpp"
#include "comm/sums.hpp"

namespace tpbench {
namespace {

class HierarchicalCommunicator final : public Communicator {
 public:
  HierarchicalCommunicator(const Control& group, std::span<const int> host_of, std::int64_t slot_bytes)
      : rank_(group.rank()),
        size_(group.size()),
        local_(group.split(host_of[static_cast<std::size_t>(rank_)]),
               std::max<std::int64_t>(slot_bytes, 8 * group.size())),
        counterparts_(group.split(local_.rank())),
        across_(make_mpi_communicator(counterparts_)),
        carried_by_(static_cast<std::size_t>(local_.size())) {
    std::map<int, std::size_t> seen;
    for (int r = 0; r < size_; ++r) carried_by_[seen[host_of[static_cast<std::size_t>(r)]]++].push_back(r);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                     std::int64_t columns) override {
    return local_.make_matrix(memory, category, dtype, rows, columns);
  }

  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    if (count == 0) return;
    const std::int64_t element = size_of(dtype);
    // The same pieces either way: the other hosts need not know where operands lie here.
    const bool shared = local_.meet_with(data, count * element);
    in_pieces(count, element, [&](std::int64_t at, std::int64_t piece) {
      if (shared) {
        reduce(local_.data(), at, piece, dtype, how);
        return;
      }
      std::byte* mine = local_.next_slot();
      std::byte* theirs = static_cast<std::byte*>(data) + at * element;
      copy(theirs, piece * element, mine);
      local_.meet();
      reduce(slots(), 0, piece, dtype, how);
      local_.meet();
      copy(mine, piece * element, theirs);
    });
    if (shared) local_.meet();
  }

  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    const std::int64_t element = size_of(dtype);
    in_pieces(shard_count, element * across_->size(), [&](std::int64_t at, std::int64_t piece) {
      across_->all_gather(static_cast<const std::byte*>(shard) + at * element, piece, local_.next_slot(),
                          dtype);
      local_.meet();
      for (int l = 0; l < local_.size(); ++l) {
        const std::byte* from = local_.slot_of(l);
        for (const int r : carried_by(l)) {
          copy(from, piece * element, static_cast<std::byte*>(whole) + (r * shard_count + at) * element);
          from += piece * element;
        }
      }
    });
  }

  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    const std::int64_t element = size_of(dtype);
    const bool shared = shard_count > 0 && local_.meet_with(whole, shard_count * size_ * element);
    in_pieces(shard_count, element * size_, [&](std::int64_t at, std::int64_t piece) {
      // The parts of a rank r that local rank l carries, of all ranks of this host: their sum goes to r.
      if (!shared) show_parts(whole, shard_count, at, piece, element);
      sums_.resize(static_cast<std::size_t>(piece * across_->size() * element));
      std::byte* sum = sums_.data();
      for (const int r : carried_by(local_.rank())) {
        const std::int64_t offset = shared ? r * shard_count + at : r * piece;
        sum_into(sum, at_offset(shared ? local_.data() : slots(), offset * element), piece, dtype);
        sum += piece * element;
      }
      across_->reduce_scatter_sum(sums_.data(), static_cast<std::byte*>(shard) + at * element, piece, dtype);
    });
    if (shared) local_.meet();
  }

 private:
  // Group ranks that are local rank `l` of their hosts, in the order of `across_`.
  [[nodiscard]] const std::vector<int>& carried_by(int l) const {
    return carried_by_[static_cast<std::size_t>(l)];
  }

  // Elements [at, at + count) of the arrays of this host's ranks become those of the group. Called after
  // a meeting; before the next one only this rank's slice is done.
  void reduce(std::span<std::byte* const> arrays, std::int64_t at, std::int64_t count, DType dtype,
              Reduction how) {
    const Slice slice = slice_of(count, dtype, local_.size(), local_.rank());
    if (slice.count() == 0) return;
    const auto own = at_offset(arrays, (at + slice.begin) * size_of(dtype));
    std::byte* mine = own[static_cast<std::size_t>(local_.rank())];
    if (how == Reduction::max)
      max_into(mine, own, slice.count(), dtype);
    else
      sum_into(mine, own, slice.count(), dtype);
    across_->all_reduce(mine, slice.count(), dtype, how);
    for (std::byte* other : own) {
      if (other != mine) copy(mine, slice.count() * size_of(dtype), other);
    }
  }

  // Puts elements [at, at + piece) of every rank's part of `whole` into this rank's slot, and meets.
  void show_parts(const void* whole, std::int64_t shard_count, std::int64_t at, std::int64_t piece,
                  std::int64_t element) {
    for (int r = 0; r < size_; ++r) {
      copy(static_cast<const std::byte*>(whole) + (r * shard_count + at) * element, piece * element,
           local_.next_slot() + r * piece * element);
    }
    local_.meet();
  }

  static void copy(const std::byte* from, std::int64_t bytes, std::byte* to) {
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
  }

  std::span<std::byte* const> slots() {
    arrays_.clear();
    for (int l = 0; l < local_.size(); ++l) arrays_.push_back(local_.slot_of(l));
    return arrays_;
  }
  std::span<std::byte* const> at_offset(std::span<std::byte* const> arrays, std::int64_t bytes) {
    moved_.clear();
    for (std::byte* array : arrays) moved_.push_back(array + bytes);
    return moved_;
  }

  // Pieces of `count` elements; a slot holds `element_bytes` for each element of a piece.
  template <typename Work>
  void in_pieces(std::int64_t count, std::int64_t element_bytes, const Work& work) const {
    const std::int64_t longest = local_.slot_bytes() / element_bytes;
    for (std::int64_t at = 0; at < count; at += longest) work(at, std::min(longest, count - at));
  }

  int rank_;
  int size_;
  SharedTeam local_;      // the ranks of this host
  Control counterparts_;  // the ranks of all hosts with the same place in theirs
  std::unique_ptr<Communicator> across_;
  std::vector<std::vector<int>> carried_by_;
  std::vector<std::byte> sums_;
  std::vector<std::byte*> arrays_, moved_;
};

}  // namespace

std::unique_ptr<Communicator> make_hierarchical_communicator(const Control& group) {
  return make_hierarchical_communicator(group, find_hosts(group).host_of);
}

std::unique_ptr<Communicator> make_hierarchical_communicator(const Control& group,
                                                             std::span<const int> host_of,
                                                             std::int64_t slot_bytes) {
  if (const auto reason = why_not_hierarchical(host_of)) throw CaseError(*reason);
  if (ranks_per_host(host_of).size() == 1) return make_shm_communicator(group);
  return std::make_unique<HierarchicalCommunicator>(group, host_of, slot_bytes);
}

std::optional<std::string> why_not_hierarchical(std::span<const int> host_of) {
  const std::vector<std::int64_t> ranks = ranks_per_host(host_of);
  const auto [fewest, most] = std::minmax_element(ranks.begin(), ranks.end());
  if (*fewest == *most) return std::nullopt;
  return fmt::format(
      "algorithm hierarchical needs as many ranks of a group on each of its hosts, and this group of {} has "
      "{} "
      "on one and {} on another; a tp_degree that the ranks of the hosts divide evenly, or placement spread, "
      "may fit",
      host_of.size(), *most, *fewest);
}

}  // namespace tpbench
