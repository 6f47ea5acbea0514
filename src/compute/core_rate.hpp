#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/dtype.hpp"
#include "base/json_fwd.hpp"

// Whether one core multiplies as fast as it can: whatever the reason that it does not.
namespace tpbench {

/// GFLOP/s of one core: of a product by the BLAS library, and of a loop that only multiplies and adds in
/// registers (fma_loop.hpp).
struct CoreRate {
  double gemm_gflops = 0;
  double loop_gflops = 0;
  [[nodiscard]] double share() const { return gemm_gflops / loop_gflops; }
};

struct CoreRates {
  CoreRate f32, f64;
  /// Empty for a type that this BLAS library does not multiply in.
  [[nodiscard]] std::optional<CoreRate> of(DType dtype) const;
};

/// A sentence with both numbers where the share is below kSlowCompute, of the library that is said to have
/// multiplied.
std::optional<std::string> why_slow(DType dtype, const CoreRate& rate,
                                    std::string_view library = "the BLAS library");

/// Below this share of the loop's rate something is wrong. Kernels that fit reach 0.85 and more with this
/// product, those of a CPU with half as wide vectors 0.4.
inline constexpr double kSlowCompute = 0.4;

/// The best of a few tries of each, in turn, on one thread: some ms in all. The first call of a process makes
/// the library's buffers: see why_blas_cannot_start().
CoreRates measure_core_rates();

/// The same product by a library of products.hpp on one thread, beside the loop in f32, whose rate one in
/// bf16 passes where the CPU has instructions for it. Measured once in a process for each library and type.
/// Before a case makes its backend: a library's number of threads is that of who came last. Throws CaseError.
CoreRate measure_library_rate(const std::string& library, DType dtype);

/// OpenBLAS takes 128 MiB for its buffers when it first multiplies, and where it cannot have them asks again
/// for ever. Why it would be so here, on `threads` threads, with the limit that stands in the way; decided
/// once, by the first call, which must come before the first product.
const std::optional<std::string>& why_blas_cannot_start(int threads);

/// {"f32": {"gemm_gflops": ..., "loop_gflops": ...}, "f64": ...}
Json core_rates_to_json(const CoreRates& rates);
CoreRates core_rates_from_json(const Json& json);

}  // namespace tpbench
