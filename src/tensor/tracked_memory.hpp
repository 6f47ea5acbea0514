#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "workload/memory.hpp"

namespace tpbench {

class TrackedMemory;

/// Memory of one tensor: page-aligned, counted for as long as it lives. Move-only.
class Allocation {
 public:
  Allocation() = default;
  Allocation(TrackedMemory& owner, void* data) : owner_(&owner), data_(data) {}
  Allocation(Allocation&& other) noexcept { *this = std::move(other); }
  Allocation& operator=(Allocation&& other) noexcept;
  Allocation(const Allocation&) = delete;
  Allocation& operator=(const Allocation&) = delete;
  ~Allocation();

  [[nodiscard]] void* data() const { return data_; }

 private:
  TrackedMemory* owner_ = nullptr;
  void* data_ = nullptr;
};

/// Maps pages of the host; they go back to the system when freed, so that the next case starts from the same
/// resident set. Throws CaseError with the system's reason.
std::shared_ptr<void> take_host_pages(std::int64_t bytes);

/// The same from huge pages, where `bytes` are as much as one: it begins at one, and the kernel is asked for
/// them. Whether they came, the kernel decides.
std::shared_ptr<void> take_huge_pages(std::int64_t bytes);

/// Of one transparent huge page of this machine; 2 MiB where the kernel does not say.
std::int64_t huge_page_size();

/// The memory from which every tensor of a case comes, block by block.
class TrackedMemory {
 public:
  /// Takes a block of `bytes` > 0 that is let go of with its last pointer, or throws CaseError with the
  /// reason.
  using Source = std::function<std::shared_ptr<void>(std::int64_t bytes)>;

  explicit TrackedMemory(Source source = take_host_pages) : source_(std::move(source)) {}
  TrackedMemory(const TrackedMemory&) = delete;
  TrackedMemory& operator=(const TrackedMemory&) = delete;
  /// Allocations that are still alive are a mistake of the program: they must not outlive their memory.
  ~TrackedMemory() = default;

  /// Takes `bytes` for `category`. Throws CaseError with the size and the reason.
  Allocation allocate(Category category, std::int64_t bytes);

  /// Counts `bytes` at `memory` that somebody else has mapped, and lets go of them when the allocation ends:
  /// what that does is the pointer's own matter.
  Allocation adopt(Category category, std::int64_t bytes, std::shared_ptr<void> memory);

  [[nodiscard]] const MemoryByCategory& in_use() const { return in_use_; }
  /// The largest total at any one time, and the categories at that time.
  [[nodiscard]] std::int64_t peak() const { return at_peak_.total(); }
  [[nodiscard]] const MemoryByCategory& at_peak() const { return at_peak_; }
  /// From here on the peak is of what is in use now, or later.
  void restart_peak() { at_peak_ = in_use_; }

  struct BlockInfo {
    void* data;
    std::int64_t bytes;
    Category category;
  };
  /// The block that `data` points into; empty where none is.
  [[nodiscard]] std::optional<BlockInfo> block_of(const void* data) const;
  [[nodiscard]] std::optional<Category> category_of(const void* data) const;

  /// Gives the pages of a block of the host back to the system, and counts it no longer: it keeps its place,
  /// where zeros stand, until `take_back` counts it again.
  void let_go(void* data);
  void take_back(void* data);

  /// What whole pages of that size the tensors fill that it took itself, and that are counted.
  [[nodiscard]] std::int64_t bytes_in_pages(std::int64_t page_bytes) const;

  /// Of what is counted.
  void for_each_block(const std::function<void(const void* data, std::int64_t bytes)>& visit) const;

 private:
  friend class Allocation;
  struct Block {
    Category category;
    std::int64_t bytes;
    std::shared_ptr<void> memory;
    bool is_counted = true;
    bool is_own = false;  // from `source_`
  };
  void count(Category category, std::int64_t bytes);
  void release(void* data) noexcept;

  Source source_;
  std::map<void*, Block> blocks_;
  MemoryByCategory in_use_;
  MemoryByCategory at_peak_;
};

}  // namespace tpbench
