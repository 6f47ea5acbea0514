#include "cuda/bits.cuh"
#include "cuda/for_packs.cuh"
#include "cuda/kernels.hpp"
#include "cuda/pack.cuh"

namespace tpbench::cuda {
namespace {

template <typename T, int Width>
struct Add {
  Rows<const T> a, b;
  Rows<T> sum;

  __device__ void operator()(std::int64_t row, std::int64_t column) const {
    auto values = load<Width>(a.at(row, column));
    const auto others = load<Width>(b.at(row, column));
#pragma unroll
    for (int i = 0; i < Width; ++i) values[i] += others[i];
    store<Width>(sum.at(row, column), values);
  }
};

template <typename Unit>
struct Copy {
  Rows<const Unit> from;
  Rows<Unit> to;

  __device__ void operator()(std::int64_t row, std::int64_t column) const {
    *to.at(row, column) = *from.at(row, column);
  }
};

}  // namespace

void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum, cudaStream_t queue) {
  dispatch_packs(a.dtype, packs_fit(a.columns, {a, b, sum}), [&]<typename T, int Width>() {
    for_packs<Width>("add", a.rows, a.columns, queue,
                     Add<T, Width>{rows_of<const T>(a), rows_of<const T>(b), rows_of<T>(sum)});
  });
}

void copy(const MatrixView& from, const MatrixView& to, cudaStream_t queue) {
  dispatch_bits(from, packs_fit(from.columns, {from, to}), [&]<typename Unit>(Unit, std::int64_t entries) {
    for_packs<1>("copy", from.rows, from.columns / entries, queue,
                 Copy<Unit>{bits_of<const Unit>(from, entries), bits_of<Unit>(to, entries)});
  });
}

}  // namespace tpbench::cuda
