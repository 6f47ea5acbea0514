#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "tensor/fill.hpp"

namespace tpbench {

/// What the values of one row of a tensor are mixed with.
struct RowKey {
  std::uint32_t first;
  std::uint32_t second;
};

TPBENCH_HOST_DEVICE std::uint64_t mix64(std::uint64_t x) {  // the finaliser of splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

TPBENCH_HOST_DEVICE RowKey row_key(const TensorKey& key, std::int64_t row) {
  std::uint64_t state = mix64(key.seed + 0x9e3779b97f4a7c15U);
  state =
      mix64(state ^ (static_cast<std::uint64_t>(key.tensor) << 32) ^ static_cast<std::uint64_t>(key.layer));
  state = mix64(state + 0x9e3779b97f4a7c15U * (static_cast<std::uint64_t>(row) + 1));
  return {static_cast<std::uint32_t>(state), static_cast<std::uint32_t>(state >> 32)};
}

/// 24 random bits as a signed fraction: exact in every floating-point type wider than half precision.
TPBENCH_HOST_DEVICE std::int32_t fraction24(std::uint32_t column, RowKey key) {
  std::uint32_t x = column * 0x9e3779b9U ^ key.first;
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x += key.second;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return static_cast<std::int32_t>(x) >> 8;
}

/// What the fractions of a tensor with values in [-scale, scale) are multiplied with.
template <typename T>
TPBENCH_HOST_DEVICE T fill_unit(double scale) {
  return static_cast<T>(scale * 0x1p-23);
}

/// One product, so that no compiler can contract or reorder it: the same bits everywhere.
template <typename T>
TPBENCH_HOST_DEVICE T fill_value(std::uint32_t column, RowKey key, T unit) {
  return static_cast<T>(fraction24(column, key)) * unit;
}

}  // namespace tpbench
