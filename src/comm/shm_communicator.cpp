#include "comm/shm_communicator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "comm/placement.hpp"
#include "comm/shared_team.hpp"
#include "comm/sums.hpp"

namespace tpbench {
namespace {

class ShmCommunicator final : public Communicator {
 public:
  ShmCommunicator(const Control& group, ShmSizes sizes)
      : team_(group, std::max<std::int64_t>(sizes.slot_bytes, 8 * group.size())),
        one_shot_bytes_(std::min(sizes.one_shot_bytes, team_.slot_bytes())) {}

  int rank() const override { return team_.rank(); }
  int size() const override { return team_.size(); }

  Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                     std::int64_t columns) override {
    if (size() == 1) return Communicator::make_matrix(memory, category, dtype, rows, columns);
    return team_.make_matrix(memory, category, dtype, rows, columns);
  }

  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    const std::int64_t bytes = count * size_of(dtype);
    if (size() == 1 || count == 0) return;
    if (how == Reduction::max) return reduce_max(static_cast<std::byte*>(data), count, dtype);
    if (bytes * size() <= one_shot_bytes_) {
      std::memcpy(team_.next_slot(), data, static_cast<std::size_t>(bytes));
      team_.meet();
      sum_into(data, slots(), count, dtype);
    } else if (team_.meet_with(data, bytes)) {
      // Where there are no slots in between, nobody may go on before all have read and written here.
      sum_into_all(team_.data(), slice(count, dtype), dtype);
      team_.meet();
    } else {
      in_pieces(count, size_of(dtype), [&](std::int64_t at, std::int64_t piece) {
        reduce_piece(static_cast<std::byte*>(data) + at * size_of(dtype), piece, dtype);
      });
    }
  }

  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    const std::int64_t bytes = shard_count * size_of(dtype);
    if (bytes == 0) return;
    if (bytes * size() > one_shot_bytes_ && team_.meet_with(shard, bytes)) {
      for_others_first(
          [&](int r) { copy(team_.data()[static_cast<std::size_t>(r)], bytes, whole, r * bytes); });
      team_.meet();
      return;
    }
    in_pieces(bytes, 1, [&](std::int64_t at, std::int64_t piece) {
      copy(static_cast<const std::byte*>(shard) + at, piece, team_.next_slot(), 0);
      team_.meet();
      for_others_first([&](int r) { copy(team_.slot_of(r), piece, whole, r * bytes + at); });
    });
  }

  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    const std::int64_t bytes = shard_count * size_of(dtype);
    if (bytes == 0) return;
    if (bytes * size() > one_shot_bytes_ && team_.meet_with(whole, bytes * size())) {
      sum_into(shard, at_offset(team_.data(), rank() * bytes), shard_count, dtype);
      team_.meet();
      return;
    }
    // A piece of every rank's part at a time.
    in_pieces(shard_count, size_of(dtype) * size(), [&](std::int64_t at, std::int64_t piece) {
      const std::int64_t piece_bytes = piece * size_of(dtype), offset = at * size_of(dtype);
      for (int r = 0; r < size(); ++r) {
        copy(static_cast<const std::byte*>(whole) + r * bytes + offset, piece_bytes, team_.next_slot(),
             r * piece_bytes);
      }
      team_.meet();
      sum_into(static_cast<std::byte*>(shard) + offset, at_offset(slots(), rank() * piece_bytes), piece,
               dtype);
    });
  }

 private:
  [[nodiscard]] Slice slice(std::int64_t count, DType dtype) const {
    return slice_of(count, dtype, size(), rank());
  }

  static void copy(const std::byte* from, std::int64_t bytes, void* to, std::int64_t offset) {
    std::memmove(static_cast<std::byte*>(to) + offset, from, static_cast<std::size_t>(bytes));
  }

  std::span<std::byte* const> slots() {
    arrays_.clear();
    for (int r = 0; r < size(); ++r) arrays_.push_back(team_.slot_of(r));
    return arrays_;
  }
  std::span<std::byte* const> at_offset(std::span<std::byte* const> arrays, std::int64_t bytes) {
    moved_.clear();
    for (std::byte* array : arrays) moved_.push_back(array + bytes);
    return moved_;
  }

  // Not all ranks read from the same one at the same time.
  template <typename Visit>
  void for_others_first(const Visit& visit) const {
    for (int i = 1; i <= size(); ++i) visit((rank() + i) % size());
  }

  // Pieces of `count` elements; a slot holds `element_bytes` for each element of a piece.
  template <typename Work>
  void in_pieces(std::int64_t count, std::int64_t element_bytes, const Work& work) const {
    const std::int64_t longest = team_.slot_bytes() / element_bytes;
    for (std::int64_t at = 0; at < count; at += longest) work(at, std::min(longest, count - at));
  }

  void reduce_piece(std::byte* data, std::int64_t count, DType dtype) {
    const std::int64_t bytes = count * size_of(dtype);
    std::byte* mine = team_.next_slot();
    copy(data, bytes, mine, 0);
    team_.meet();
    sum_into_all(slots(), slice(count, dtype), dtype);
    team_.meet();
    copy(mine, bytes, data, 0);
  }

  // Maxima are of short arrays, one number for a row.
  void reduce_max(std::byte* data, std::int64_t count, DType dtype) {
    in_pieces(count, size_of(dtype), [&](std::int64_t at, std::int64_t piece) {
      std::byte* here = data + at * size_of(dtype);
      copy(here, piece * size_of(dtype), team_.next_slot(), 0);
      team_.meet();
      max_into(here, slots(), piece, dtype);
    });
  }

  SharedTeam team_;
  std::int64_t one_shot_bytes_;
  std::vector<std::byte*> arrays_, moved_;
};

}  // namespace

std::unique_ptr<Communicator> make_shm_communicator(const Control& group, ShmSizes sizes) {
  return std::make_unique<ShmCommunicator>(group, sizes);
}

std::optional<std::string> why_not_shm(std::span<const int> host_of) {
  const std::vector<std::int64_t> ranks = ranks_per_host(host_of);
  if (ranks.size() <= 1) return std::nullopt;
  return fmt::format(
      "algorithm shm needs all ranks of a group on one host, and this group of {} is on {}; a tp_degree of "
      "up to "
      "{} with placement packed stays on one",
      host_of.size(), ranks.size(), *std::max_element(ranks.begin(), ranks.end()));
}

}  // namespace tpbench
