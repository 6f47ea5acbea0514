#pragma once

#include <cstddef>
#include <cstdint>

#include "comm/control.hpp"

namespace tpbench {

/// Memory that ranks of one host have in common: one page-aligned segment for each, zeroed, mapped by all. It
/// has no name in any file system and goes with the last process that maps it, however that ends
/// (docs/decisions/0009). A rank unmaps it when it likes; nobody waits for the others.
class SharedMemory {
 public:
  /// Collective over `group`. A segment holds the largest `bytes` that any rank asks for, at least one. Its
  /// pages are taken as they are first written, near the rank that does it. Throws CaseError, with the same
  /// words on every rank.
  SharedMemory(const Control& group, std::int64_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  [[nodiscard]] std::byte* segment(int rank) const { return base_ + rank * segment_bytes_; }

 private:
  std::byte* base_ = nullptr;
  std::int64_t segment_bytes_ = 0;
  std::int64_t bytes_ = 0;
};

}  // namespace tpbench
