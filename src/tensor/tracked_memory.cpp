#include "tensor/tracked_memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "base/units.hpp"

namespace tpbench {
namespace {

#ifdef TPBENCH_SANITIZED
// AddressSanitizer guards the heap, not mappings.
void* map_pages(std::size_t bytes) { return std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096); }
void unmap_pages(void* data, std::size_t) noexcept { std::free(data); }
#else
void* map_pages(std::size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return data == MAP_FAILED ? nullptr : data;
}
void unmap_pages(void* data, std::size_t bytes) noexcept { munmap(data, bytes); }
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

Allocation TrackedMemory::allocate(Category category, std::int64_t bytes) {
  if (bytes <= 0) return {};
  std::shared_ptr<void> memory;
  try {
    memory = source_(bytes);
  } catch (const CaseError& error) {
    throw CaseError(fmt::format("cannot allocate {} for {}: {}", format_bytes(static_cast<double>(bytes)),
                                name_of(category), error.what()));
  }
  return adopt(category, bytes, std::move(memory));
}

Allocation TrackedMemory::adopt(Category category, std::int64_t bytes, std::shared_ptr<void> memory) {
  if (bytes <= 0) return {};
  void* data = memory.get();
  blocks_.emplace(data, Block{category, bytes, std::move(memory)});
  in_use_[category] += bytes;
  if (in_use_.total() > at_peak_.total()) at_peak_ = in_use_;
  return {*this, data};
}

void TrackedMemory::release(void* data) noexcept {
  const auto found = blocks_.find(data);
  if (found == blocks_.end()) return;
  in_use_[found->second.category] -= found->second.bytes;
  blocks_.erase(found);
}

std::optional<Category> TrackedMemory::category_of(const void* data) const {
  auto block = blocks_.upper_bound(const_cast<void*>(data));  // keys are never written to
  if (block == blocks_.begin()) return std::nullopt;
  --block;
  const auto* first = static_cast<const std::byte*>(block->first);
  const bool is_inside = static_cast<const std::byte*>(data) < first + block->second.bytes;
  return is_inside ? std::optional(block->second.category) : std::nullopt;
}

void TrackedMemory::for_each_block(const std::function<void(const void*, std::int64_t)>& visit) const {
  for (const auto& [data, block] : blocks_) visit(data, block.bytes);
}

}  // namespace tpbench
