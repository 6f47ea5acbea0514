#pragma once

#include <memory>

#include "compute/backend.hpp"

namespace tpbench::cuda {

/// cuBLASLt for products and kernels of this project for the rest, on the GPU that was opened. Work is queued
/// in order; `threads` threads of the host do what is done around a case.
std::unique_ptr<Backend> make_cuda_backend(int threads);

}  // namespace tpbench::cuda
