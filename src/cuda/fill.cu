#include <bit>
#include <cstring>
#include <limits>

#include "cuda/bits.cuh"
#include "cuda/for_packs.cuh"
#include "cuda/kernels.hpp"
#include "cuda/pack.cuh"
#include "tensor/fill_formulas.hpp"

namespace tpbench::cuda {
namespace {

template <typename T, int Width>
struct Fill {
  Rows<T> x;
  TensorKey key;
  std::int64_t row, column;  // of the whole tensor, where x begins
  Compute<T> unit;

  __device__ void operator()(std::int64_t r, std::int64_t c) const {
    const RowKey of_row = row_key(key, row + r);
    const auto first = static_cast<std::uint32_t>(column + c);
    Values<Compute<T>, Width> values;
#pragma unroll
    for (int i = 0; i < Width; ++i)
      values[i] = fill_value(first + static_cast<std::uint32_t>(i), of_row, unit);
    store<Width>(x.at(r, c), values);
  }
};

template <typename Unit>
struct SetBits {
  Rows<Unit> x;
  Unit bits;

  __device__ void operator()(std::int64_t row, std::int64_t column) const { *x.at(row, column) = bits; }
};

// Writes the low bytes of `bits` to every entry.
void set_bits(const char* name, const MatrixView& x, std::uint64_t bits, cudaStream_t queue) {
  dispatch_bits(x, packs_fit(x.columns, {x}), [&]<typename Unit>(Unit unit, std::int64_t entries) {
    const std::int64_t size = size_of(x.dtype);
    for (std::int64_t i = 0; i < entries; ++i) {
      std::memcpy(reinterpret_cast<std::byte*>(&unit) + i * size, &bits, static_cast<std::size_t>(size));
    }
    for_packs<1>(name, x.rows, x.columns / entries, queue, SetBits<Unit>{bits_of<Unit>(x, entries), unit});
  });
}

static_assert(std::endian::native == std::endian::little, "the low bytes of a number come first");

std::uint64_t bits_of_nan(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN());
    case DType::f16:
      return 0x7e00;
    case DType::bf16:
      return 0x7fc0;
    default:
      return std::bit_cast<std::uint32_t>(std::numeric_limits<float>::quiet_NaN());
  }
}

}  // namespace

void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column,
          cudaStream_t queue) {
  dispatch_packs(x.dtype, packs_fit(x.columns, {x}), [&]<typename T, int Width>() {
    for_packs<Width>("fill", x.rows, x.columns, queue,
                     Fill<T, Width>{rows_of<T>(x), key, row, column, fill_unit<Compute<T>>(key.scale)});
  });
}

void set_zero(const MatrixView& x, cudaStream_t queue) { set_bits("set_zero", x, 0, queue); }

void poison(const MatrixView& x, cudaStream_t queue) { set_bits("poison", x, bits_of_nan(x.dtype), queue); }

}  // namespace tpbench::cuda
