#include "environment/noise.hpp"

#include <algorithm>
#include <vector>

#include "base/json.hpp"
#include "compute/reference_work.hpp"

namespace tpbench {
namespace {

double relative_of(const Summary& work_s) { return (work_s.p95 - work_s.min) / work_s.min; }

Json summary_to_json(const Summary& work_s) {
  return {{"min_s", work_s.min}, {"median_s", work_s.median}, {"p95_s", work_s.p95}, {"max_s", work_s.max}};
}

}  // namespace

double NoiseResult::relative() const {
  return std::max(gemm_s ? relative_of(*gemm_s) : 0, relative_of(copy_s));
}

NoiseResult probe_noise(ReferenceWork& work, bool can_multiply) {
  constexpr std::size_t kRepetitions = 21;  // one that is held up alone is beyond the 95th percentile
  std::vector<double> warm_up(3), seconds(kRepetitions);
  NoiseResult noise;
  if (can_multiply) {
    work.time_products(warm_up);  // the library takes its buffers at the first call
    work.time_products(seconds);
    noise.gemm_s = summarise(seconds);
  }
  work.time_copies(warm_up);
  work.time_copies(seconds);
  noise.copy_s = summarise(seconds);
  return noise;
}

Json noise_to_json(const NoiseResult& noise) {
  return {{"repetitions", noise.copy_s.samples},
          {"gemm", noise.gemm_s ? summary_to_json(*noise.gemm_s) : Json(nullptr)},
          {"copy", summary_to_json(noise.copy_s)},
          {"relative", noise.relative()}};
}

}  // namespace tpbench
