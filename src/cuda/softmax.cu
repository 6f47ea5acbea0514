#include <cmath>

#include "cuda/kernels.hpp"
#include "cuda/pack.cuh"
#include "cuda/reduce.cuh"

namespace tpbench::cuda {
namespace {

// Exponentials are computed twice, for their sum and for the result: kept in x they would be rounded to its
// type in between.
template <typename T, int Width>
__global__ void softmax_kernel(std::int64_t rows, std::int64_t columns, Visible visible, Compute<T> scale,
                               Rows<T> x) {
  using C = Compute<T>;
  const std::int64_t first = std::int64_t{threadIdx.x} * Width,
                     column_step = std::int64_t{blockDim.x} * Width;
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const std::int64_t valid = visible.of_row(row);
    // The largest is taken off first, so that no exponential overflows.
    C largest = Largest::kNeutral<C>;
    for (std::int64_t column = first; column < valid; column += column_step) {
      const auto values = load<Width>(x.at(row, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        if (column + i < valid) largest = Largest::combine(largest, values[i]);
      }
    }
    largest = reduce_block<Largest>(largest);
    C sum = 0;
    for (std::int64_t column = first; column < valid; column += column_step) {
      const auto values = load<Width>(x.at(row, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        if (column + i < valid) sum += std::exp(scale * (values[i] - largest));
      }
    }
    const C factor = C(1) / reduce_block<Sum>(sum);
    for (std::int64_t column = first; column < columns; column += column_step) {
      Values<C, Width> results{};
      if (column < valid) {
        const auto values = load<Width>(x.at(row, column));
#pragma unroll
        for (int i = 0; i < Width; ++i) {
          if (column + i < valid) results[i] = std::exp(scale * (values[i] - largest)) * factor;
        }
      }
      store<Width>(x.at(row, column), results);
    }
  }
}

template <typename T, int Width>
__global__ void softmax_backward_kernel(std::int64_t rows, std::int64_t columns, Compute<T> scale,
                                        Rows<const T> p, Rows<T> dp) {
  using C = Compute<T>;
  const std::int64_t first = std::int64_t{threadIdx.x} * Width,
                     column_step = std::int64_t{blockDim.x} * Width;
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    C dot = 0;
    for (std::int64_t column = first; column < columns; column += column_step) {
      const auto values = load<Width>(p.at(row, column)), gradients = load<Width>(dp.at(row, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) dot += values[i] * gradients[i];
    }
    dot = reduce_block<Sum>(dot);
    for (std::int64_t column = first; column < columns; column += column_step) {
      const auto values = load<Width>(p.at(row, column));
      auto gradients = load<Width>(dp.at(row, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) gradients[i] = scale * values[i] * (gradients[i] - dot);
      store<Width>(dp.at(row, column), gradients);
    }
  }
}

}  // namespace

void softmax(const MatrixView& x, const Visible& visible, double scale, cudaStream_t queue) {
  dispatch_packs(x.dtype, packs_fit(x.columns, {x}), [&]<typename T, int Width>() {
    launch_for_rows("softmax", softmax_kernel<T, Width>, x.rows, x.columns / Width, queue, x.rows, x.columns,
                    visible, static_cast<Compute<T>>(scale), rows_of<T>(x));
  });
}

void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale, cudaStream_t queue) {
  dispatch_packs(p.dtype, packs_fit(p.columns, {p, dp}), [&]<typename T, int Width>() {
    launch_for_rows("softmax_backward", softmax_backward_kernel<T, Width>, p.rows, p.columns / Width, queue,
                    p.rows, p.columns, static_cast<Compute<T>>(scale), rows_of<const T>(p), rows_of<T>(dp));
  });
}

}  // namespace tpbench::cuda
