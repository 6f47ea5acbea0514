#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace tpbench {

/// How many ranks share the work of a case, and how. In the order of ranks those of one layer come first,
/// then the stages, then the copies.
struct Layout {
  std::int64_t tp = 1;  ///< t: ranks that share each layer
  std::int64_t pp = 1;  ///< stages of consecutive layers
  std::int64_t dp = 1;  ///< copies of all that, each with its part of the batch

  [[nodiscard]] std::int64_t ranks() const { return tp * pp * dp; }
  /// "tp2", "tp2-pp4": what is 1 is not said, but for tp.
  [[nodiscard]] std::string id() const { return text("tp", "-pp", "-dp"); }
  /// "TP 2", "TP 2 PP 4".
  [[nodiscard]] std::string title() const { return text("TP ", " PP ", " DP "); }

  auto operator<=>(const Layout&) const = default;

 private:
  [[nodiscard]] std::string text(const char* of_tp, const char* of_pp, const char* of_dp) const {
    std::string said = of_tp + std::to_string(tp);
    if (pp > 1) said += of_pp + std::to_string(pp);
    if (dp > 1) said += of_dp + std::to_string(dp);
    return said;
  }
};

}  // namespace tpbench
