#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"
#include "sweep/case.hpp"

namespace tpbench {

inline constexpr std::size_t kMaxCases = 100'000;
inline constexpr std::int64_t kMaxTokens = std::int64_t{1} << 26;

struct Expansion {
  std::vector<Case> cases;           ///< normalised, no two with one id; first those of the product
  std::vector<std::string> remarks;  ///< patterns of `exclude` that match no case
  std::vector<Fault> faults;         ///< without `place`; then `cases` is of no use
};

/// Every case of a resolved sweep: the product of its axes in the order of `case_fields`, the last one
/// fastest, then its `cases`, without what `exclude` matches. All values are available in this build.
/// `of_files`: the models that it names by their files.
Expansion expand_sweep(const Json& resolved, std::span<const Model> of_files = {});

}  // namespace tpbench
