#pragma once

#include <cstdint>
#include <string_view>

namespace tpbench {

/// What cuBLASLt works in; NVIDIA's advice for Hopper (cuBLAS documentation, cublasSetWorkspace).
inline constexpr std::int64_t kCudaWorkspaceBytes = std::int64_t{32} << 20;

/// Bytes that the library of a backend works in, beside the tensors of a case.
constexpr std::int64_t backend_workspace(std::string_view backend) {
  return backend == "cuda" ? kCudaWorkspaceBytes : 0;
}

}  // namespace tpbench
