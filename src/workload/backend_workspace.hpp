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

/// Bytes of attention scores that a backend has in work at one time: as many heads as fill a device, as long
/// as their scores stay in its second-level cache (40 MB on an A100, 50 MB on an H100). On the host a tile of
/// one head keeps all cores busy.
constexpr std::int64_t backend_scores(std::string_view backend) {
  return backend == "cuda" ? std::int64_t{32} << 20 : 0;
}

}  // namespace tpbench
