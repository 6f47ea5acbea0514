#pragma once

#include <cstdint>
#include <stdexcept>

#include "cuda/pack.cuh"

namespace tpbench::cuda {

/// Sixteen bytes that are moved at once, whatever they mean.
struct alignas(kPackBytes) PackBits {
  std::uint64_t low, high;
};

/// Calls `function(unit, size)` with the widest type that rows of all views can be moved in, and the number
/// of entries in it: what does not look at values needs no kernel per dtype.
template <typename Function>
void dispatch_bits(const MatrixView& shape, bool packed, const Function& function) {
  const std::int64_t size = size_of(shape.dtype);
  if (packed) return function(PackBits{}, kPackBytes / size);
  switch (size) {
    case 2:
      return function(std::uint16_t{}, std::int64_t{1});
    case 4:
      return function(std::uint32_t{}, std::int64_t{1});
    case 8:
      return function(std::uint64_t{}, std::int64_t{1});
    default:
      break;
  }
  throw std::logic_error("dispatch_bits: unknown size");
}

/// `x` in units of `entries` entries each; its rows begin at whole units.
template <typename Unit>
Rows<Unit> bits_of(const MatrixView& x, std::int64_t entries) {
  return {static_cast<Unit*>(x.data), x.row_stride / entries};
}

}  // namespace tpbench::cuda
