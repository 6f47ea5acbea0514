#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.hpp"

namespace tpbench {

/// Elements [begin, end) of an array.
struct Slice {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  [[nodiscard]] std::int64_t count() const { return end - begin; }
};

/// The part of `count` elements that is rank `index`'s work: whole cache lines of an array that begins on
/// one, so that no two ranks write to one. May be empty.
Slice slice_of(std::int64_t count, DType dtype, int parts, int index);

/// out[i] = arrays[0][i] + arrays[1][i] + ... for `count` elements at `arrays[r]`, in the order of the
/// arrays, whoever does it: the same bits everywhere. In f32 and rounded once, where the
/// elements have two bytes. `out` is one of the arrays, or elsewhere.
void sum_into(void* out, std::span<std::byte* const> arrays, std::int64_t count, DType dtype);
/// The largest of each instead of their sum.
void max_into(void* out, std::span<std::byte* const> arrays, std::int64_t count, DType dtype);
/// The same sum of the elements of `slice`, written into each of the arrays.
void sum_into_all(std::span<std::byte* const> arrays, Slice slice, DType dtype);

}  // namespace tpbench
