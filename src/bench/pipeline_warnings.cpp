#include "bench/pipeline_warnings.hpp"

#include <fmt/format.h>

#include <cmath>

#include "base/json.hpp"
#include "base/units.hpp"

namespace tpbench {

// Of a pipeline, what was to stay inside hosts: the ranks of each layer, or the stages of each shard.
std::optional<std::string> placement_not_kept(const WarningInputs& in) {
  const Layout& layout = in.point.layout;
  if (layout.pp == 1) return std::nullopt;
  const bool of_layers = in.point.placement == Placement::tp_inside;
  const std::int64_t wanted = of_layers ? layout.tp : layout.pp;
  for (const std::vector<int>& group : in.team.groups) {
    for (std::size_t first = 0; first < group.size(); ++first) {
      const auto tp = static_cast<std::size_t>(layout.tp);
      const std::size_t next = of_layers ? first + 1 : first + tp;
      if (next >= group.size() || (of_layers && next % tp == 0)) continue;
      const auto host = [&](std::size_t at) {
        return in.facts.ranks[static_cast<std::size_t>(group[at])].host;
      };
      if (host(first) == host(next)) continue;
      return fmt::format(
          "{} lie on several hosts ({}, {}), as not every host has a multiple of {} ranks: start as many on "
          "each "
          "for placement {}",
          of_layers ? "ranks that share a layer" : "stages of one shard", host(first), host(next), wanted,
          name_of(in.point.placement));
    }
  }
  return std::nullopt;
}

std::optional<std::string> bubble_unexplained(const WarningInputs& in) {
  constexpr double kFar = 0.1;
  if (in.record.status != Status::ok || !in.record.pipeline) return std::nullopt;
  const std::optional<double> difference = in.record.pipeline->bubble_difference();
  if (!difference || std::abs(*difference) <= kFar) return std::nullopt;
  return fmt::format(
      "the bubble is {} of the step and {} by replay: steps of one stage differ from each other, or ranks "
      "share "
      "cores or a link",
      format_percent(*in.record.pipeline->bubble), format_percent(*in.record.pipeline->replayed_bubble));
}

}  // namespace tpbench
