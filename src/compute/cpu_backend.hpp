#pragma once

#include <memory>

#include "compute/backend.hpp"

namespace tpbench {

/// A library for GEMM, and loops on as many threads for the rest: f16 and bf16 are computed in f32 and
/// rounded once. Throws CaseError where the library cannot be had.
std::unique_ptr<Backend> make_cpu_backend(const BackendNeeds& needs);
/// With OpenBLAS.
std::unique_ptr<Backend> make_cpu_backend(int threads);

}  // namespace tpbench
