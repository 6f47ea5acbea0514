#include "bench/clock_warnings.hpp"

#include <fmt/format.h>

#include <vector>

#include "base/text.hpp"
#include "base/units.hpp"

namespace tpbench {

std::optional<std::string> below_clock_error(const WarningInputs& in) {
  if (in.record.status != Status::ok || !in.record.clock || in.record.clock->clocks == 1) return std::nullopt;
  const ClockResult& clock = *in.record.clock;
  if (!clock.aligned) {
    return fmt::format(
        "the clocks of {} hosts could not be aligned (error {}, half a round trip {}): steps start after a "
        "barrier, and times between hosts are null; make sure that no other program uses the cores",
        clock.clocks, format_seconds(clock.error_s), format_seconds(clock.worst_case_s));
  }
  std::vector<std::string> null = clock.untold;
  for (const CollectiveResult& collective : in.record.collectives) {
    const bool is_timed_alone = collective.ranks > 1 && collective.calls_per_step > 0 && !in.record.overlap;
    if (is_timed_alone && !collective.busbw_gb_per_s && clock.untold.empty())
      null.push_back(fmt::format("busbw of {}", name_of(collective.op)));
  }
  if (null.empty() && clock.doubtful.empty()) return std::nullopt;
  std::string words;
  if (!null.empty()) words = fmt::format("{} {} null", join_words(null), null.size() == 1 ? "is" : "are");
  if (!clock.doubtful.empty())
    words += fmt::format("{}{} {} doubtful", words.empty() ? "" : ", and ", join_words(clock.doubtful),
                         clock.doubtful.size() == 1 ? "is" : "are");
  return fmt::format(
      "{}: under three times the error: the hosts' clocks agree to {}, and a step sums {}; use larger "
      "messages",
      words, format_seconds(clock.error_s),
      counted(static_cast<std::size_t>(clock.differences_per_step), "difference"));
}

std::optional<std::string> device_clock_error(const WarningInputs& in) {
  if (in.record.status != Status::ok || in.outcome.samples.own_durations == 0) return std::nullopt;
  return fmt::format(
      "collectives are shorter than three times the error between the GPUs' clocks ({}): the time of the "
      "last GPU to start is used",
      format_seconds(in.record.clock->device_error_s.value_or(0)));
}

// A few are what a shared machine costs; many mean that starts are not what they are meant to be.
std::optional<std::string> late_starts(const WarningInputs& in) {
  constexpr double kMany = 0.1;
  if (in.record.status != Status::ok || !in.record.clock || in.record.clock->starts == 0) return std::nullopt;
  const ClockResult& clock = *in.record.clock;
  const double share = static_cast<double>(clock.late_starts) / static_cast<double>(clock.starts);
  if (share <= kMany) return std::nullopt;
  return fmt::format(
      "{} of the steps were repeated, as a rank missed the agreed start: other programs, or ranks that share "
      "cores",
      format_percent(share));
}

}  // namespace tpbench
