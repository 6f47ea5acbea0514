#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "base/error.hpp"
#include "cuda/sticky.hpp"

namespace tpbench::cuda {

/// Throws when the kernel just launched, or work queued before it, has failed: CommError where the device is
/// of no more use to this process, else CaseError.
inline void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return;
  const std::string words = "kernel " + std::string(kernel) + ": " + cudaGetErrorString(error);
  if (is_sticky(error)) throw CommError(words + "; this process can no longer use the GPU");
  throw CaseError(words);
}

}  // namespace tpbench::cuda
