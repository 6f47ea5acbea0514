#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "cuda/check_launch.hpp"

#if !defined(__CUDACC__)
#error "kernels are compiled by nvcc, or for the emulation, whose folder then comes before src/"
#endif

namespace tpbench::cuda {

/// Queues `kernel`. The one place where kernels are launched; tests put one in its place that runs them on
/// the CPU (tests/cuda_emulation/), and so every file with device code includes this. Throws CaseError.
template <typename... Parameters>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t queue,
            std::type_identity_t<Parameters>... arguments) {
  kernel<<<grid, block, 0, queue>>>(arguments...);
  check_launch(name);
}

}  // namespace tpbench::cuda
