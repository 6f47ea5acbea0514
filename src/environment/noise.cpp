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

double NoiseResult::relative() const { return std::max(relative_of(gemm_s), relative_of(copy_s)); }

NoiseResult probe_noise(ReferenceWork& work, int repetitions) {
  std::vector<double> warm_up(3), products(static_cast<std::size_t>(repetitions)), copies(products);
  work.time_products(warm_up);  // the library takes its buffers at the first call
  work.time_products(products);
  work.time_copies(copies);
  return {summarise(products), summarise(copies)};
}

Json noise_to_json(const NoiseResult& noise) {
  return {{"repetitions", noise.gemm_s.samples},
          {"gemm", summary_to_json(noise.gemm_s)},
          {"copy", summary_to_json(noise.copy_s)},
          {"relative", noise.relative()}};
}

}  // namespace tpbench
