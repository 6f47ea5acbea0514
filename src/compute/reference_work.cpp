#include "compute/reference_work.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "base/units.hpp"
#include "measure/clock.hpp"
#include "tensor/tracked_memory.hpp"

namespace tpbench {
namespace {

constexpr blasint kProductRows = 64, kProductSize = 1024;
constexpr std::int64_t kFactor = std::int64_t{kProductRows} * kProductSize,
                       kSquare = std::int64_t{kProductSize} * kProductSize;  // elements
static_assert((2 * kFactor + kSquare) * 4 <= kReferenceBytes / 2);

template <typename Work>
void time_each(std::span<double> seconds, const Work& work) {
  for (double& took : seconds) {
    const double start = now_s();
    work();
    took = now_s() - start;
  }
}

}  // namespace

ReferenceWork::ReferenceWork() {
  try {
    memory_ = take_host_pages(kReferenceBytes);
  } catch (const CaseError& error) {
    throw EnvironmentError(fmt::format(
        "the fixed work beside the cases takes {}: {}; see ulimit -v, ulimit -d and the memory in use",
        format_bytes(kReferenceBytes), error.what()));
  }
  // No page of zeros and no subnormal number.
  auto* values = static_cast<float*>(memory_.get());
  std::fill(values, values + kReferenceBytes / 4, 1.0F / kProductSize);
}

void ReferenceWork::time_products(std::span<double> seconds) {
  auto* const a = static_cast<float*>(memory_.get());
  float *const b = a + kFactor, *const c = b + kSquare;
  const int threads = openblas_get_num_threads();
  openblas_set_num_threads(1);
  time_each(seconds, [&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kProductRows, kProductSize, kProductSize, 1.0F, a,
                kProductSize, b, kProductSize, 0.0F, c, kProductSize);
  });
  openblas_set_num_threads(threads);
}

void ReferenceWork::time_copies(std::span<double> seconds) {
  auto* const from = static_cast<std::byte*>(memory_.get());
  time_each(seconds, [&] { std::memcpy(from + kReferenceBytes / 2, from, kReferenceBytes / 2); });
}

}  // namespace tpbench
