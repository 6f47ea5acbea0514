#pragma once

#include <cstdint>

namespace tpbench {

/// What cuBLASLt works in; NVIDIA's advice for Hopper (cuBLAS documentation, cublasSetWorkspace).
inline constexpr std::int64_t kCudaWorkspaceBytes = std::int64_t{32} << 20;

}  // namespace tpbench
