#include "result/summary_text.hpp"

#include <fmt/format.h>

#include "base/units.hpp"

namespace tpbench {

std::string median_text(const Summary& summary) {
  const std::string median = format_seconds(summary.median);
  if (!summary.ci95 || summary.median <= 0) return median;
  const auto [lowest, highest] = *summary.ci95;
  const double half_width = (highest - lowest) / 2 / summary.median;
  constexpr double kWide = 0.5;
  if (half_width > kWide)
    return fmt::format("{} ({}..{})", median, format_seconds(lowest), format_seconds(highest));
  return fmt::format("{} +-{:.1f}%", median, half_width * 100);
}

}  // namespace tpbench
