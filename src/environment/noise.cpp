#include "environment/noise.hpp"

#include <vector>

#include "base/json.hpp"
#include "measure/clock.hpp"

namespace tpbench {
namespace {

// A chain of dependent multiplications: its time is a number of cycles and nothing else.
[[gnu::noinline]] std::uint64_t fixed_work(std::uint64_t x) {
  for (int i = 0; i < 60000; ++i) x = x * 0x5851f42d4c957f2dU + 0x14057b7ef767814fU;
  return x;
}

}  // namespace

NoiseResult probe_noise(int repetitions) {
  std::vector<double> seconds;
  seconds.reserve(static_cast<std::size_t>(repetitions));
  volatile std::uint64_t sink = 1;
  for (int i = -5; i < repetitions; ++i) {  // the first few bring the clock up
    const double start = now_s();
    sink = fixed_work(sink);
    if (i >= 0) seconds.push_back(now_s() - start);
  }
  return {summarise(seconds)};
}

Json noise_to_json(const NoiseResult& noise) {
  return {{"repetitions", noise.work_s.samples}, {"min_s", noise.work_s.min},
          {"median_s", noise.work_s.median},     {"p95_s", noise.work_s.p95},
          {"max_s", noise.work_s.max},           {"relative", noise.relative()}};
}

}  // namespace tpbench
