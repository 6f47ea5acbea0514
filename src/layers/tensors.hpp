#pragma once

#include <cmath>
#include <cstdint>

#include "tensor/fill.hpp"

namespace tpbench {

/// The tensors that layers fill, each with a stream of values of its own.
enum class TensorName : std::uint32_t { input = 1, weight, gate, up, down, probe = 100 };

/// Inputs are uniform in [-1, 1).
inline TensorKey input_key(std::uint64_t seed) {
  return {.seed = seed, .tensor = static_cast<std::uint32_t>(TensorName::input)};
}

/// Weights are scaled by the length of the sum they stand in, so that outputs stay as large as inputs.
inline TensorKey weight_key(std::uint64_t seed, TensorName name, std::int64_t layer, std::int64_t fan_in) {
  return {seed, static_cast<std::uint32_t>(name), layer, std::sqrt(3.0 / static_cast<double>(fan_in))};
}

/// What rank `rank` brings to a probe of the fabric.
inline TensorKey probe_key(std::uint64_t seed, std::int64_t rank) {
  return {.seed = seed,
          .tensor = static_cast<std::uint32_t>(TensorName::probe) + static_cast<std::uint32_t>(rank)};
}

}  // namespace tpbench
