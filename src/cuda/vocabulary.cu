#include <cmath>

#include "cuda/bits.cuh"
#include "cuda/for_packs.cuh"
#include "cuda/kernels.hpp"
#include "cuda/pack.cuh"
#include "cuda/reduce.cuh"

namespace tpbench::cuda {
namespace {

template <typename Unit>
struct LookUp {
  TokenIds ids;
  Rows<const Unit> table;
  Rows<Unit> y;

  __device__ void operator()(std::int64_t row, std::int64_t column) const {
    const std::int64_t place = ids.place_of(ids.data[row]);
    *y.at(row, column) = place < 0 ? Unit{} : *table.at(place, column);
  }
};

// A block for each token: that of the first one with an id sums the rows of all that have it, in their order,
// and the others have nothing to do. So no two blocks write to one row, and results are the same each time.
template <typename T, int Width>
__global__ void look_up_backward_kernel(TokenIds ids, std::int64_t columns, Rows<const T> dy,
                                        Rows<T> dtable) {
  using C = Compute<T>;
  const std::int64_t first = std::int64_t{threadIdx.x} * Width,
                     column_step = std::int64_t{blockDim.x} * Width;
  for (std::int64_t row = blockIdx.x; row < ids.count; row += gridDim.x) {
    const std::int64_t id = ids.data[row], place = ids.place_of(id);
    if (place < 0) continue;
    float seen = 0;
    for (std::int64_t earlier = threadIdx.x; earlier < row; earlier += blockDim.x) {
      if (ids.data[earlier] == id) seen = 1;
    }
    if (reduce_block<Largest>(seen) > 0) continue;
    for (std::int64_t column = first; column < columns; column += column_step) {
      Values<C, Width> sums = load<Width>(dtable.at(place, column));
      for (std::int64_t other = row; other < ids.count; ++other) {
        if (ids.data[other] != id) continue;
        const auto values = load<Width>(dy.at(other, column));
#pragma unroll
        for (int i = 0; i < Width; ++i) sums[i] += values[i];
      }
      store<Width>(dtable.at(place, column), sums);
    }
  }
}

template <typename T, int Width>
__global__ void row_maxima_kernel(TokenIds ids, Rows<const T> x, Compute<T>* maxima) {
  using C = Compute<T>;
  for (std::int64_t row = blockIdx.x; row < ids.count; row += gridDim.x) {
    C largest = C(kLeastLogit);
    for (std::int64_t column = std::int64_t{threadIdx.x} * Width; column < ids.held;
         column += std::int64_t{blockDim.x} * Width) {
      const auto values = load<Width>(x.at(row, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        if (column + i < ids.held) largest = Largest::combine(largest, values[i]);
      }
    }
    largest = reduce_block<Largest>(largest);
    if (threadIdx.x == 0) maxima[row] = largest;
  }
}

template <typename T, int Width>
__global__ void exponentials_kernel(TokenIds ids, std::int64_t columns, Rows<T> x, const Compute<T>* maxima,
                                    Compute<T>* sums, Compute<T>* targets) {
  using C = Compute<T>;
  for (std::int64_t row = blockIdx.x; row < ids.count; row += gridDim.x) {
    const C largest = maxima[row];
    const std::int64_t target = ids.place_of(ids.data[row]);
    if (target < 0 && threadIdx.x == 0) targets[row] = 0;
    C sum = 0;
    for (std::int64_t column = std::int64_t{threadIdx.x} * Width; column < columns;
         column += std::int64_t{blockDim.x} * Width) {
      auto values = load<Width>(x.at(row, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        if (column + i == target) targets[row] = values[i] - largest;
        values[i] = column + i < ids.held ? std::exp(values[i] - largest) : C(0);
        sum += values[i];
      }
      store<Width>(x.at(row, column), values);
    }
    sum = reduce_block<Sum>(sum);
    if (threadIdx.x == 0) sums[row] = sum;
  }
}

template <typename C>
struct CrossEntropy {
  const C *sums, *targets;
  C* loss;

  __device__ void operator()(std::int64_t, std::int64_t row) const {
    loss[row] = std::log(sums[row]) - targets[row];
  }
};

template <typename T, int Width>
__global__ void cross_entropy_backward_kernel(TokenIds ids, std::int64_t columns, const Compute<T>* sums,
                                              Rows<T> x) {
  using C = Compute<T>;
  for (std::int64_t row = blockIdx.x; row < ids.count; row += gridDim.x) {
    const C factor = C(1) / sums[row];
    const std::int64_t target = ids.place_of(ids.data[row]);
    for (std::int64_t column = std::int64_t{threadIdx.x} * Width; column < columns;
         column += std::int64_t{blockDim.x} * Width) {
      auto values = load<Width>(x.at(row, column));
#pragma unroll
      for (int i = 0; i < Width; ++i) values[i] = values[i] * factor - (column + i == target ? C(1) : C(0));
      store<Width>(x.at(row, column), values);
    }
  }
}

template <typename C>
C* numbers_of(const MatrixView& row) {
  return static_cast<C*>(row.data);
}

}  // namespace

void look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y, cudaStream_t queue) {
  dispatch_bits(y, packs_fit(y.columns, {table, y}), [&]<typename Unit>(Unit, std::int64_t entries) {
    for_packs<1>("look_up", y.rows, y.columns / entries, queue,
                 LookUp<Unit>{ids, bits_of<const Unit>(table, entries), bits_of<Unit>(y, entries)});
  });
}

void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable, bool adds,
                      cudaStream_t queue) {
  if (!adds) set_zero(dtable, queue);
  dispatch_packs(dy.dtype, packs_fit(dy.columns, {dy, dtable}), [&]<typename T, int Width>() {
    launch_for_rows("look_up_backward", look_up_backward_kernel<T, Width>, dy.rows, dy.columns / Width, queue,
                    ids, dy.columns, rows_of<const T>(dy), rows_of<T>(dtable));
  });
}

void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima, cudaStream_t queue) {
  dispatch_packs(x.dtype, packs_fit(x.columns, {x}), [&]<typename T, int Width>() {
    launch_for_rows("row_maxima", row_maxima_kernel<T, Width>, x.rows, x.columns / Width, queue, ids,
                    rows_of<const T>(x), numbers_of<Compute<T>>(maxima));
  });
}

void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima, const MatrixView& sums,
                  const MatrixView& targets, cudaStream_t queue) {
  dispatch_packs(x.dtype, packs_fit(x.columns, {x}), [&]<typename T, int Width>() {
    launch_for_rows("exponentials", exponentials_kernel<T, Width>, x.rows, x.columns / Width, queue, ids,
                    x.columns, rows_of<T>(x), numbers_of<const Compute<T>>(maxima),
                    numbers_of<Compute<T>>(sums), numbers_of<Compute<T>>(targets));
  });
}

void cross_entropy(const MatrixView& sums, const MatrixView& targets, const MatrixView& loss,
                   cudaStream_t queue) {
  const auto run = [&]<typename C>(C) {
    for_packs<1>(
        "cross_entropy", 1, loss.columns, queue,
        CrossEntropy<C>{numbers_of<const C>(sums), numbers_of<const C>(targets), numbers_of<C>(loss)});
  };
  if (loss.dtype == DType::f64)
    run(double{});
  else
    run(float{});
}

void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x,
                            cudaStream_t queue) {
  dispatch_packs(x.dtype, packs_fit(x.columns, {x}), [&]<typename T, int Width>() {
    launch_for_rows("cross_entropy_backward", cross_entropy_backward_kernel<T, Width>, x.rows,
                    x.columns / Width, queue, ids, x.columns, numbers_of<const Compute<T>>(sums),
                    rows_of<T>(x));
  });
}

}  // namespace tpbench::cuda
