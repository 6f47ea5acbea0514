#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "base/error.hpp"

namespace tpbench::cuda {

/// Throws CaseError when the kernel just launched, or work queued before it, has failed.
inline void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw CaseError("kernel " + std::string(kernel) + ": " + cudaGetErrorString(error));
  }
}

}  // namespace tpbench::cuda
