#include "compute/activation_formulas.hpp"
#include "cuda/for_packs.cuh"
#include "cuda/kernels.hpp"
#include "cuda/pack.cuh"

namespace tpbench::cuda {
namespace {

// Each thread reads what it needs before it writes, so that results may stand where an operand stood.

template <typename T, int Width>
struct Gelu {
  Rows<const T> x;
  Rows<T> y;

  __device__ void operator()(std::int64_t row, std::int64_t column) const {
    auto values = load<Width>(x.at(row, column));
#pragma unroll
    for (int i = 0; i < Width; ++i) values[i] = gelu_of(values[i]);
    store<Width>(y.at(row, column), values);
  }
};

template <typename T, int Width>
struct GeluBackward {
  Rows<const T> x, dy;
  Rows<T> dx;

  __device__ void operator()(std::int64_t row, std::int64_t column) const {
    const auto inputs = load<Width>(x.at(row, column));
    auto gradients = load<Width>(dy.at(row, column));
#pragma unroll
    for (int i = 0; i < Width; ++i) gradients[i] *= gelu_slope(inputs[i]);
    store<Width>(dx.at(row, column), gradients);
  }
};

template <typename T, int Width>
struct Swiglu {
  Rows<const T> x;
  Rows<T> y;
  std::int64_t half;

  __device__ void operator()(std::int64_t row, std::int64_t column) const {
    auto values = load<Width>(x.at(row, column));
    const auto ups = load<Width>(x.at(row, half + column));
#pragma unroll
    for (int i = 0; i < Width; ++i) values[i] = swiglu_of(values[i], ups[i]);
    store<Width>(y.at(row, column), values);
  }
};

template <typename T, int Width>
struct SwigluBackward {
  Rows<const T> x, dy;
  Rows<T> dx;
  std::int64_t half;

  __device__ void operator()(std::int64_t row, std::int64_t column) const {
    auto gates = load<Width>(x.at(row, column));
    auto ups = load<Width>(x.at(row, half + column));
    const auto gradients = load<Width>(dy.at(row, column));
#pragma unroll
    for (int i = 0; i < Width; ++i) {
      const auto of = swiglu_gradients(gates[i], ups[i], gradients[i]);
      gates[i] = of.gate;
      ups[i] = of.up;
    }
    store<Width>(dx.at(row, column), gates);
    store<Width>(dx.at(row, half + column), ups);
  }
};

}  // namespace

void gelu(const MatrixView& x, const MatrixView& y, cudaStream_t queue) {
  dispatch_packs(x.dtype, packs_fit(x.columns, {x, y}), [&]<typename T, int Width>() {
    for_packs<Width>("gelu", x.rows, x.columns, queue, Gelu<T, Width>{rows_of<const T>(x), rows_of<T>(y)});
  });
}

void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx, cudaStream_t queue) {
  dispatch_packs(x.dtype, packs_fit(x.columns, {x, dy, dx}), [&]<typename T, int Width>() {
    for_packs<Width>("gelu_backward", x.rows, x.columns, queue,
                     GeluBackward<T, Width>{rows_of<const T>(x), rows_of<const T>(dy), rows_of<T>(dx)});
  });
}

void swiglu(const MatrixView& x, const MatrixView& y, cudaStream_t queue) {
  const std::int64_t half = x.columns / 2;
  dispatch_packs(x.dtype, packs_fit(half, {x, y}), [&]<typename T, int Width>() {
    for_packs<Width>("swiglu", x.rows, half, queue,
                     Swiglu<T, Width>{rows_of<const T>(x), rows_of<T>(y), half});
  });
}

void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx, cudaStream_t queue) {
  const std::int64_t half = x.columns / 2;
  dispatch_packs(x.dtype, packs_fit(half, {x, dy, dx}), [&]<typename T, int Width>() {
    for_packs<Width>(
        "swiglu_backward", x.rows, half, queue,
        SwigluBackward<T, Width>{rows_of<const T>(x), rows_of<const T>(dy), rows_of<T>(dx), half});
  });
}

}  // namespace tpbench::cuda
