#include <cmath>

#include "compute/norm.hpp"
#include "cuda/kernels.hpp"
#include "cuda/pack.cuh"
#include "cuda/reduce.cuh"

namespace tpbench::cuda {
namespace {

// Calls `body(column)` at each pack of a row that falls to this thread of its block.
template <int Width, typename Body>
__device__ void for_row(std::int64_t columns, const Body& body) {
  const std::int64_t step = std::int64_t{blockDim.x} * Width;
  for (std::int64_t column = std::int64_t{threadIdx.x} * Width; column < columns; column += step)
    body(column);
}

// The variance from differences to the mean: the difference of two large sums would lose digits.
template <int Width, typename T>
__device__ RowScale<Compute<T>> row_scale(const T* x, std::int64_t columns, bool centred) {
  using C = Compute<T>;
  C mean = 0;
  if (centred) {
    C sum = 0;
    for_row<Width>(columns, [&](std::int64_t column) {
      const auto values = load<Width>(x + column);
#pragma unroll
      for (int i = 0; i < Width; ++i) sum += values[i];
    });
    mean = reduce_block<Sum>(sum) / static_cast<C>(columns);
  }
  C squares = 0;
  for_row<Width>(columns, [&](std::int64_t column) {
    const auto values = load<Width>(x + column);
#pragma unroll
    for (int i = 0; i < Width; ++i) squares += (values[i] - mean) * (values[i] - mean);
  });
  squares = reduce_block<Sum>(squares);
  return {mean, C(1) / std::sqrt(squares / static_cast<C>(columns) + static_cast<C>(kNormEpsilon))};
}

template <typename T, int Width>
__global__ void norm_kernel(std::int64_t rows, std::int64_t columns, bool centred, Rows<const T> x,
                            Rows<const T> parameters, Rows<T> y) {
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const auto scale = row_scale<Width>(x.at(row, 0), columns, centred);
    for_row<Width>(columns, [&](std::int64_t column) {
      auto values = load<Width>(x.at(row, column));
      const auto gains = load<Width>(parameters.at(0, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) values[i] = (values[i] - scale.mean) * scale.inverse * gains[i];
      if (centred) {
        const auto shifts = load<Width>(parameters.at(1, column));
#pragma unroll
        for (int i = 0; i < Width; ++i) values[i] += shifts[i];
      }
      store<Width>(y.at(row, column), values);
    });
  }
}

// dx += inverse (dy gain - [mean of dy gain] - x^ mean of dy gain x^); leaves what each row was scaled with.
template <typename T, int Width>
__global__ void norm_backward_kernel(std::int64_t rows, std::int64_t columns, bool centred, Rows<const T> x,
                                     Rows<const T> parameters, Rows<const T> dy, Rows<T> dx,
                                     RowScale<Compute<T>>* scales) {
  using C = Compute<T>;
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const auto scale = row_scale<Width>(x.at(row, 0), columns, centred);
    if (threadIdx.x == 0) scales[row] = scale;
    C sums[2] = {0, 0};  // of dy gain, and of dy gain x^
    for_row<Width>(columns, [&](std::int64_t column) {
      const auto values = load<Width>(x.at(row, column)), gains = load<Width>(parameters.at(0, column)),
                 gradients = load<Width>(dy.at(row, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        const C scaled = gradients[i] * gains[i];
        sums[0] += scaled;
        sums[1] += scaled * ((values[i] - scale.mean) * scale.inverse);
      }
    });
    reduce_block<Sum>(sums);
    const C mean = centred ? sums[0] / static_cast<C>(columns) : C(0);
    const C slope = sums[1] / static_cast<C>(columns);
    for_row<Width>(columns, [&](std::int64_t column) {
      const auto values = load<Width>(x.at(row, column)), gains = load<Width>(parameters.at(0, column)),
                 gradients = load<Width>(dy.at(row, column));
      auto total = load<Width>(dx.at(row, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        const C normed = (values[i] - scale.mean) * scale.inverse;
        total[i] += scale.inverse * (gradients[i] * gains[i] - mean - normed * slope);
      }
      store<Width>(dx.at(row, column), total);
    });
  }
}

constexpr int kRowLanes = 32;

// dgain = sum over rows of dy x^; dshift = sum over rows of dy. A block sums kWarp columns: a warp reads them
// of one row, and the warps share the rows. Nothing is added up by whoever comes first: the order is fixed.
template <typename T>
__global__ void __launch_bounds__(kWarp* kRowLanes)
    norm_parameters_kernel(std::int64_t rows, std::int64_t columns, bool centred, Rows<const T> x,
                           Rows<const T> dy, const RowScale<Compute<T>>* scales, Rows<T> dparameters) {
  using C = Compute<T>;
  static_assert(kRowLanes == kWarp, "each warp sums one column in the end");
  __shared__ C gains[kRowLanes][kWarp + 1], shifts[kRowLanes][kWarp + 1];  // + 1: other banks
  const std::int64_t first_column = std::int64_t{blockIdx.x} * kWarp;
  C gain = 0, shift = 0;
  if (const std::int64_t column = first_column + threadIdx.x; column < columns) {
#pragma unroll 4
    for (std::int64_t row = threadIdx.y; row < rows; row += kRowLanes) {
      const RowScale<C> scale = scales[row];
      const C gradient = to_compute(*dy.at(row, column));
      gain += gradient * ((to_compute(*x.at(row, column)) - scale.mean) * scale.inverse);
      shift += gradient;
    }
  }
  gains[threadIdx.y][threadIdx.x] = gain;
  shifts[threadIdx.y][threadIdx.x] = shift;
  __syncthreads();
  gain = reduce_warp<Sum>(gains[threadIdx.x][threadIdx.y]);
  shift = reduce_warp<Sum>(shifts[threadIdx.x][threadIdx.y]);
  const std::int64_t column = first_column + threadIdx.y;
  if (threadIdx.x != 0 || column >= columns) return;
  *dparameters.at(0, column) = from_compute<T>(gain);
  if (centred) *dparameters.at(1, column) = from_compute<T>(shift);
}

}  // namespace

void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y,
          cudaStream_t queue) {
  dispatch_packs(x.dtype, packs_fit(x.columns, {x, parameters, y}), [&]<typename T, int Width>() {
    launch_for_rows("norm", norm_kernel<T, Width>, x.rows, x.columns / Width, queue, x.rows, x.columns,
                    kind == Norm::layer_norm, rows_of<const T>(x), rows_of<const T>(parameters),
                    rows_of<T>(y));
  });
}

std::int64_t norm_backward_scratch_bytes(const MatrixView& x) {
  return x.rows * (x.dtype == DType::f64 ? std::int64_t{sizeof(RowScale<double>)}
                                         : std::int64_t{sizeof(RowScale<float>)});
}

void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                   const MatrixView& dx, const MatrixView& dparameters, void* scratch, cudaStream_t queue) {
  const bool centred = kind == Norm::layer_norm;
  dispatch_packs(x.dtype, packs_fit(x.columns, {x, parameters, dy, dx}), [&]<typename T, int Width>() {
    auto* scales = static_cast<RowScale<Compute<T>>*>(scratch);
    launch_for_rows("norm_backward", norm_backward_kernel<T, Width>, x.rows, x.columns / Width, queue, x.rows,
                    x.columns, centred, rows_of<const T>(x), rows_of<const T>(parameters),
                    rows_of<const T>(dy), rows_of<T>(dx), scales);
    if (x.columns == 0) return;
    // Also without rows: the sum of none is 0.
    launch("norm_backward of parameters", norm_parameters_kernel<T>,
           dim3(static_cast<unsigned>((x.columns + kWarp - 1) / kWarp)), dim3(kWarp, kRowLanes), queue,
           x.rows, x.columns, centred, rows_of<const T>(x), rows_of<const T>(dy), scales,
           rows_of<T>(dparameters));
  });
}

}  // namespace tpbench::cuda
