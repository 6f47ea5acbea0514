#include "tensor/tracked_memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/error.hpp"
#include "base/units.hpp"

namespace tpbench {
namespace {

// A rest of a page is taken whole.
std::size_t whole_pages(std::size_t bytes) {
  static const auto kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + kPage - 1) / kPage * kPage;
}

#ifdef TPBENCH_SANITIZED
// AddressSanitizer guards the heap, not mappings.
void* map_pages(std::size_t bytes, std::size_t alignment) {
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}
void* map_pages(std::size_t bytes) { return map_pages(bytes, 4096); }
void unmap_pages(void* data, std::size_t) noexcept { std::free(data); }
#else
void* map_pages(std::size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return data == MAP_FAILED ? nullptr : data;
}
void unmap_pages(void* data, std::size_t bytes) noexcept { munmap(data, bytes); }

// Maps more, and gives back what lies before and behind.
void* map_pages(std::size_t bytes, std::size_t alignment) {
  bytes = whole_pages(bytes);
  auto* mapped = static_cast<std::byte*>(map_pages(bytes + alignment));
  if (mapped == nullptr) return nullptr;
  const std::size_t before = (alignment - reinterpret_cast<std::uintptr_t>(mapped) % alignment) % alignment;
  if (before > 0) munmap(mapped, before);
  if (before < alignment) munmap(mapped + before + bytes, alignment - before);
  return mapped + before;
}
#endif

}  // namespace

Allocation& Allocation::operator=(Allocation&& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(data_, other.data_);
  return *this;
}

Allocation::~Allocation() {
  if (owner_ != nullptr) owner_->release(data_);
}

std::shared_ptr<void> take_host_pages(std::int64_t bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  void* data = map_pages(size);
  if (data == nullptr) throw CaseError(std::strerror(errno));
  return {data, [size](void* pages) { unmap_pages(pages, size); }};
}

std::shared_ptr<void> take_huge_pages(std::int64_t bytes) {
  if (bytes < huge_page_size()) return take_host_pages(bytes);
  const auto size = static_cast<std::size_t>(bytes);
  void* data = map_pages(size, static_cast<std::size_t>(huge_page_size()));
  if (data == nullptr) throw CaseError(std::strerror(errno));
  madvise(data, whole_pages(size), MADV_HUGEPAGE);  // a kernel that has none refuses
  return {data, [size](void* pages) { unmap_pages(pages, size); }};
}

std::int64_t huge_page_size() {
  static const std::int64_t kSize = [] {
    std::int64_t bytes = 0;
    std::ifstream("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size") >> bytes;
    return bytes > 0 ? bytes : std::int64_t{2} << 20;
  }();
  return kSize;
}

Allocation TrackedMemory::allocate(Category category, std::int64_t bytes) {
  if (bytes <= 0) return {};
  std::shared_ptr<void> memory;
  try {
    memory = source_(bytes);
  } catch (const CaseError& error) {
    throw CaseError(fmt::format("cannot allocate {} for {}: {}", format_bytes(static_cast<double>(bytes)),
                                name_of(category), error.what()));
  }
  void* data = memory.get();
  Allocation allocation = adopt(category, bytes, std::move(memory));
  blocks_.at(data).is_own = true;
  return allocation;
}

Allocation TrackedMemory::adopt(Category category, std::int64_t bytes, std::shared_ptr<void> memory) {
  if (bytes <= 0) return {};
  void* data = memory.get();
  blocks_.emplace(data, Block{category, bytes, std::move(memory)});
  count(category, bytes);
  return {*this, data};
}

void TrackedMemory::count(Category category, std::int64_t bytes) {
  in_use_[category] += bytes;
  if (in_use_.total() > at_peak_.total()) at_peak_ = in_use_;
}

void TrackedMemory::let_go(void* data) {
  Block& block = blocks_.at(data);
  if (!block.is_counted) return;
  block.is_counted = false;
  in_use_[block.category] -= block.bytes;
  madvise(data, whole_pages(static_cast<std::size_t>(block.bytes)), MADV_DONTNEED);
}

void TrackedMemory::take_back(void* data) {
  Block& block = blocks_.at(data);
  if (!block.is_counted) count(block.category, block.bytes);
  block.is_counted = true;
}

void TrackedMemory::release(void* data) noexcept {
  const auto found = blocks_.find(data);
  if (found == blocks_.end()) return;
  if (found->second.is_counted) in_use_[found->second.category] -= found->second.bytes;
  blocks_.erase(found);
}

std::optional<TrackedMemory::BlockInfo> TrackedMemory::block_of(const void* data) const {
  auto block = blocks_.upper_bound(const_cast<void*>(data));  // keys are never written to
  if (block == blocks_.begin()) return std::nullopt;
  --block;
  const auto* first = static_cast<const std::byte*>(block->first);
  const bool is_inside = static_cast<const std::byte*>(data) < first + block->second.bytes;
  if (!is_inside) return std::nullopt;
  return BlockInfo{block->first, block->second.bytes, block->second.category};
}

std::optional<Category> TrackedMemory::category_of(const void* data) const {
  const std::optional<BlockInfo> block = block_of(data);
  return block ? std::optional(block->category) : std::nullopt;
}

std::int64_t TrackedMemory::bytes_in_pages(std::int64_t page_bytes) const {
  std::int64_t bytes = 0;
  for (const auto& [data, block] : blocks_) {
    if (block.is_own && block.is_counted) bytes += block.bytes / page_bytes * page_bytes;
  }
  return bytes;
}

void TrackedMemory::for_each_block(const std::function<void(const void*, std::int64_t)>& visit) const {
  for (const auto& [data, block] : blocks_) {
    if (block.is_counted) visit(data, block.bytes);
  }
}

}  // namespace tpbench
