#pragma once

/// Marks a formula that the host and kernels of a GPU compute alike: it is written once, and inlined.
#if defined(__CUDACC__)
#define TPBENCH_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define TPBENCH_HOST_DEVICE [[gnu::always_inline]] inline
#endif
