#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "cuda/launch.cuh"

namespace tpbench::cuda {

inline constexpr int kWarp = 32;

struct Sum {
  template <typename T>
  static constexpr T kNeutral = T(0);
  template <typename T>
  __device__ static T combine(T a, T b) {
    return a + b;
  }
};

struct Largest {
  template <typename T>
  static constexpr T kNeutral = -std::numeric_limits<T>::infinity();
  template <typename T>
  __device__ static T combine(T a, T b) {
    return a < b ? b : a;
  }
};

/// The same value on all lanes of a warp, all of which call it. The order is fixed.
template <typename Operation, typename T>
__device__ T reduce_warp(T value) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = Operation::combine(value, __shfl_xor_sync(0xffffffffU, value, distance));
  }
  return value;
}

/// Reduces `Count` values at once over a block of whole warps in one row, all of whose threads call it; each
/// gets the result.
template <typename Operation, int Count, typename T>
__device__ void reduce_block(T (&values)[Count]) {
  __shared__ T of_warps[Count][kWarp];
#pragma unroll
  for (int i = 0; i < Count; ++i) values[i] = reduce_warp<Operation>(values[i]);
  const unsigned warps = blockDim.x / kWarp, lane = threadIdx.x % kWarp;
  if (warps == 1) return;
  if (lane == 0) {
#pragma unroll
    for (int i = 0; i < Count; ++i) of_warps[i][threadIdx.x / kWarp] = values[i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < Count; ++i) {
    values[i] = reduce_warp<Operation>(lane < warps ? of_warps[i][lane] : Operation::template kNeutral<T>);
  }
  __syncthreads();  // the next call writes where this one reads
}

template <typename Operation, typename T>
__device__ T reduce_block(T value) {
  T values[1] = {value};
  reduce_block<Operation, 1>(values);
  return values[0];
}

/// Launches `kernel`, one block per row; blocks go on to further rows where there are more than enough.
template <typename... Parameters>
void launch_for_rows(const char* name, void (*kernel)(Parameters...), std::int64_t rows,
                     std::int64_t packs_per_row, cudaStream_t queue,
                     std::type_identity_t<Parameters>... arguments) {
  constexpr std::int64_t kMostThreads = 512, kMostBlocks = 16384;
  if (rows == 0 || packs_per_row == 0) return;
  const std::int64_t threads = std::min((packs_per_row + kWarp - 1) / kWarp * kWarp, kMostThreads);
  launch(name, kernel, dim3(static_cast<unsigned>(std::min(rows, kMostBlocks))),
         dim3(static_cast<unsigned>(threads)), queue, arguments...);
}

}  // namespace tpbench::cuda
