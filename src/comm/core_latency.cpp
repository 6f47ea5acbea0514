#include "comm/core_latency.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <new>

#include "base/error.hpp"
#include "comm/polling.hpp"
#include "measure/clock.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kSeries = 5;
constexpr int kRoundTrips = 200;
constexpr int kTripsPerLook = 25;  // at the clock, which takes as long as a trip
// Added to a turn: the last of a measurement. The follower answers no more.
constexpr std::uint64_t kLast = std::uint64_t{1} << 63;
// Ranks that were given one CPU after all hand over once a time slice. Longer is no latency of a core.
constexpr double kTooLong_s = 20e-3;
// Beyond it the other rank will not come: it has failed, which others find out.
constexpr double kGone_s = 1;

// Waits until `line` differs from `seen`; returns what it holds, or `seen` when nobody came. The clock is not
// read as long as the other rank is there.
std::uint64_t wait_for_change(const std::atomic<std::uint64_t>& line, std::uint64_t seen) {
  constexpr int kPollsPerLook = 4096;
  std::optional<Stopwatch> waited;
  while (!waited || waited->elapsed_s() < kGone_s) {
    for (int polls = 0; polls < kPollsPerLook; ++polls) {
      const std::uint64_t value = line.load(std::memory_order_acquire);
      if (value != seen) return value;
      pause_core();
    }
    if (!waited) waited.emplace();
    sched_yield();
  }
  return seen;
}

Control ranks_of_host(const Control& ranks, const std::string& identity) {
  return ranks.split(find_hosts(ranks, identity).host_of[static_cast<std::size_t>(ranks.rank())]);
}

}  // namespace

CoreLatency::CoreLatency(const Control& ranks, const std::string& identity)
    : ranks_(ranks), host_(ranks_of_host(ranks, identity)) {
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a lock does not work between processes");
  if (host_.size() < 2 || cpus_of(host_) < host_.size()) return;
  try {
    memory_ = std::make_unique<SharedMemory>(host_, static_cast<std::int64_t>(sizeof(Lines)));
  } catch (const CaseError&) {  // on all ranks of the host: they do not see each other's memory
    return;
  }
  new (memory_->segment(host_.rank())) Lines;
  host_.barrier();
}

std::optional<double> CoreLatency::slowest_s() {
  std::array<double, 2> slowest_and_failed = {};
  for (int phase = 0; phase < 2; ++phase) {
    ranks_.barrier();
    const int place = host_.rank() - phase;  // pairs are places 0 and 1, 2 and 3, ...
    if (!memory_ || place < 0) continue;
    if (place % 2 == 1) {
      follow(host_.rank() - 1);
    } else if (host_.rank() + 1 < host_.size()) {
      const std::optional<double> seconds = lead();
      double& found = slowest_and_failed[seconds ? 0 : 1];
      found = std::max(found, seconds.value_or(1));
    }
  }
  ranks_.reduce_max(slowest_and_failed);
  if (slowest_and_failed[1] > 0) memory_.reset();  // what its lines hold is nobody's turn any more
  if (!(slowest_and_failed[0] > 0) || slowest_and_failed[1] > 0) return std::nullopt;
  return slowest_and_failed[0];
}

std::optional<double> CoreLatency::lead() {
  Lines& lines = lines_of(host_.rank());
  std::array<double, kSeries> series = {};
  bool answered = true;
  const Stopwatch whole;
  for (double& seconds : series) {
    const Stopwatch stopwatch;
    for (int trip = 0; trip < kRoundTrips && answered; ++trip) {
      lines.to.store(++turn_, std::memory_order_release);
      answered = wait_for_change(lines.back, turn_ - 1) == turn_ &&
                 (trip % kTripsPerLook != 0 || whole.elapsed_s() < kTooLong_s);
    }
    seconds = stopwatch.elapsed_s() / (2 * kRoundTrips);
  }
  lines.to.store(turn_ | kLast, std::memory_order_release);
  if (!answered) return std::nullopt;
  std::sort(series.begin(), series.end());
  return series[kSeries / 2];
}

void CoreLatency::follow(int leader) {
  Lines& lines = lines_of(leader);
  while (true) {
    const std::uint64_t value = wait_for_change(lines.to, followed_);
    if (value == followed_) return;
    followed_ = value;
    if ((value & kLast) != 0) return;
    lines.back.store(value, std::memory_order_release);
  }
}

CoreLatency::Lines& CoreLatency::lines_of(int leader) const {
  return *std::launder(reinterpret_cast<Lines*>(memory_->segment(leader)));
}

}  // namespace tpbench
