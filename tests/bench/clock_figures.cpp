// clock_figures COUNT [BETWEEN_MS]: how often the stated error of the common clock covers the true one, which
// is known where all ranks run on one kernel. Each of COUNT times the clocks are measured, left alone for
// BETWEEN_MS, and measured again; the error is the largest over moments in between. Prints one line.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <vector>

#include "comm/common_clock.hpp"
#include "comm/session.hpp"
#include "kernel_time.hpp"
#include "measure/clock.hpp"
#include "measure/statistics.hpp"

using namespace tpbench;

namespace {

// By how much two ranks differ about one moment, at most. A rank's own view is the median over several:
// reading two clocks at one moment is not exact.
double true_error_s(const Control& ranks, const CommonClock& clock,
                    const std::vector<test::Moment>& moments) {
  std::vector<std::int64_t> ahead;
  for (const test::Moment& moment : moments) ahead.push_back(clock.common_ns(moment.own_ns) - moment.true_ns);
  std::sort(ahead.begin(), ahead.end());
  std::int64_t ends[] = {ahead[ahead.size() / 2], -ahead[ahead.size() / 2]};
  ranks.reduce_max(ends);
  return static_cast<double>(ends[0] + ends[1]) * 1e-9;
}

}  // namespace

int main(int count, char** words) {
  const int measurements = count > 1 ? std::atoi(words[1]) : 1000;
  const int between_ms = count > 2 ? std::atoi(words[2]) : 5;
  Session session(false);
  const Control& world = session.world();
  CommonClock clock(world);
  std::vector<double> stated_s, true_s, worst_s, took_s;
  int covered = 0, aligned = 0;
  for (int i = 0; i < measurements; ++i) {
    const Stopwatch stopwatch;
    clock.restart();
    took_s.push_back(stopwatch.elapsed_s());
    std::vector<test::Moment> moments;
    for (int k = 0; k < 10; ++k) {
      const std::int64_t before = now_ns(), kernel = test::kernel_ns(), after = now_ns();
      // A rank that lost its core in between does not know the moment.
      if (after - before < 1000)
        moments.push_back({before + (after - before) / 2, kernel});
      else
        --k;
      std::this_thread::sleep_for(std::chrono::microseconds(100 * between_ms));
    }
    clock.measure();
    const ClockQuality quality = clock.quality();
    stated_s.push_back(quality.error_s);
    worst_s.push_back(quality.worst_case_s);
    true_s.push_back(true_error_s(world, clock, moments));
    covered += true_s.back() <= stated_s.back() ? 1 : 0;
    aligned += quality.aligned ? 1 : 0;
  }
  if (world.rank() != 0) return 0;
  const Summary stated = summarise(stated_s), known = summarise(true_s);
  fmt::print(
      "covered {:.2f} % of {}; aligned {:.2f} %; stated us median {:.2f} p95 {:.2f} max {:.2f}; true us "
      "median {:.2f} p95 {:.2f} "
      "max {:.2f}; half a round trip us {:.2f}; a measurement takes ms {:.1f}\n",
      100.0 * covered / measurements, measurements, 100.0 * aligned / measurements, stated.median * 1e6,
      stated.p95 * 1e6, stated.max * 1e6, known.median * 1e6, known.p95 * 1e6, known.max * 1e6,
      summarise(worst_s).median * 1e6, summarise(took_s).median * 1e3);
  return 0;
}
