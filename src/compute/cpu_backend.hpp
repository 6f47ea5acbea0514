#pragma once

#include <memory>

#include "compute/backend.hpp"

namespace tpbench {

/// OpenBLAS for GEMM, and loops on `threads` threads for the rest.
std::unique_ptr<Backend> make_cpu_backend(int threads);

/// {"library": "OpenBLAS", "config": "...", "threading": "pthreads", "max_threads": 2, "core": "SkylakeX",
/// ...}: with kernels_to_json()
Json describe_openblas();

}  // namespace tpbench
