#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "cuda/launch.cuh"

namespace tpbench::cuda {

/// Calls `body(row, column)` at the first column of every pack of `Width` entries.
template <int Width, typename Body>
__global__ void for_packs_kernel(std::int64_t rows, std::int64_t columns, Body body) {
  const std::int64_t first_column = (std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * Width;
  const std::int64_t column_step = std::int64_t{gridDim.y} * blockDim.x * Width;
  const std::int64_t row_step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t row = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; row < rows; row += row_step) {
    for (std::int64_t column = first_column; column < columns; column += column_step) body(row, column);
  }
}

/// Launches the above. Blocks are as wide as the rows, so that no thread divides to find its place, up to 256
/// threads; narrow rows share a block. Threads go on to further packs where there are more than enough blocks
/// to keep any device busy.
template <int Width, typename Body>
void for_packs(const char* name, std::int64_t rows, std::int64_t columns, cudaStream_t queue,
               const Body& body) {
  constexpr std::int64_t kThreads = 256, kMostBlocks = 32768;
  if (rows == 0 || columns == 0) return;
  const std::int64_t packs = columns / Width;
  const auto across =
      static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(std::min(packs, kThreads))));
  const std::int64_t down = kThreads / across;
  const std::int64_t column_blocks = std::min((packs + across - 1) / across, kMostBlocks);
  const std::int64_t row_blocks = std::min((rows + down - 1) / down, kMostBlocks / column_blocks);
  launch(name, for_packs_kernel<Width, Body>,
         dim3(static_cast<unsigned>(row_blocks), static_cast<unsigned>(column_blocks)),
         dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), queue, rows, columns, body);
}

}  // namespace tpbench::cuda
