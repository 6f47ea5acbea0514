#pragma once

// Stands before src/cuda/launch.cuh in the include path of sources that are compiled for the emulation: gives
// them what the CUDA compiler has built in, and runs their kernels on the CPU.

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>

#include "cuda/check_launch.hpp"

namespace tpbench::cuda::emulation {

/// Where a thread of a kernel stands.
struct Position {
  uint3 thread, block;
  dim3 threads, blocks;  ///< blockDim, gridDim
};

/// That of the thread that runs. Only kernels may ask.
const Position& position();

/// Waits until all threads of the block are here. Ends the program when one never will be.
void wait_for_block();
/// Waits until all lanes of the warp are here with the same `mask`, which must name them all, and returns the
/// value of lane `source`. Ends the program when one never will be.
std::uint64_t exchange_in_warp(unsigned mask, std::uint64_t value, unsigned source);
unsigned lane();

/// Queues `thread` for every thread of every block. Where a device would refuse the launch, nothing is queued
/// and cudaGetLastError knows why.
void run_grid(const char* name, dim3 grid, dim3 block, cudaStream_t queue, std::function<void()> thread);

template <typename T>
T shuffle(unsigned mask, T value, unsigned source) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange_in_warp(mask, bits, source);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace tpbench::cuda::emulation

// NOLINTBEGIN: these names are CUDA's
#undef __shared__
#define __shared__ static thread_local /* all threads of a block run on one thread of the host */
#define __launch_bounds__(...)
#define threadIdx (::tpbench::cuda::emulation::position().thread)
#define blockIdx (::tpbench::cuda::emulation::position().block)
#define blockDim (::tpbench::cuda::emulation::position().threads)
#define gridDim (::tpbench::cuda::emulation::position().blocks)

inline void __syncthreads() { ::tpbench::cuda::emulation::wait_for_block(); }
inline void __syncwarp(unsigned mask = 0xffffffffU) {
  ::tpbench::cuda::emulation::exchange_in_warp(mask, 0, 0);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask) {
  const unsigned source = ::tpbench::cuda::emulation::lane() ^ static_cast<unsigned>(lane_mask);
  return ::tpbench::cuda::emulation::shuffle(mask, value, source);
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int source) {
  return ::tpbench::cuda::emulation::shuffle(mask, value, static_cast<unsigned>(source) % 32);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance) {
  const unsigned here = ::tpbench::cuda::emulation::lane(), source = here + distance;
  return ::tpbench::cuda::emulation::shuffle(mask, value, source < 32 ? source : here);
}
template <typename T>
void __stwb(T* to, T value) {
  *to = value;
}
// NOLINTEND

namespace tpbench::cuda {

/// See src/cuda/launch.cuh.
template <typename... Parameters>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t queue,
            std::type_identity_t<Parameters>... arguments) {
  emulation::run_grid(name, grid, block, queue, [=] { kernel(arguments...); });
  check_launch(name);
}

}  // namespace tpbench::cuda
