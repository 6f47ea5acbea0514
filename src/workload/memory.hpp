#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "base/enum_names.hpp"

namespace tpbench {

/// What a tensor is held for. Every tensor of a case has exactly one.
enum class Category {
  weights,
  replicated_weights,
  activations,
  gradients,
  kv_cache,  ///< keys and values of earlier tokens
  communication,
  workspace
};

inline constexpr std::size_t kCategoryCount = 7;

/// Bytes per category on one rank: predicted by a formula, or counted by the tracked memory.
struct MemoryByCategory {
  std::array<std::int64_t, kCategoryCount> bytes{};

  std::int64_t& operator[](Category category) { return bytes[static_cast<std::size_t>(category)]; }
  std::int64_t operator[](Category category) const { return bytes[static_cast<std::size_t>(category)]; }
  [[nodiscard]] std::int64_t total() const {
    return std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0});
  }
  bool operator==(const MemoryByCategory&) const = default;
};

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Category, {tpbench::Category::weights, "weights"},
                   {tpbench::Category::replicated_weights, "replicated_weights"},
                   {tpbench::Category::activations, "activations"},
                   {tpbench::Category::gradients, "gradients"}, {tpbench::Category::kv_cache, "kv_cache"},
                   {tpbench::Category::communication, "communication"},
                   {tpbench::Category::workspace, "workspace"});
