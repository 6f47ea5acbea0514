#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <type_traits>

#include "cuda/launch.cuh"
#include "tensor/matrix.hpp"

namespace tpbench::cuda {

/// What entries of type T are computed in.
template <typename T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

__device__ inline float to_compute(float value) { return value; }
__device__ inline double to_compute(double value) { return value; }
__device__ inline float to_compute(__half value) { return __half2float(value); }
__device__ inline float to_compute(__nv_bfloat16 value) { return __bfloat162float(value); }

/// Rounds to nearest even.
template <typename T>
__device__ inline T from_compute(Compute<T> value) {
  if constexpr (std::is_same_v<T, __half>)
    return __float2half_rn(value);
  else if constexpr (std::is_same_v<T, __nv_bfloat16>)
    return __float2bfloat16_rn(value);
  else
    return value;
}

/// A matrix as kernels see it.
template <typename T>
struct Rows {
  T* data;
  std::int64_t stride;

  __device__ T* at(std::int64_t row, std::int64_t column) const { return data + row * stride + column; }
};

template <typename T>
Rows<T> rows_of(const MatrixView& x) {
  return {static_cast<T*>(x.data), x.row_stride};
}

/// Entries that are read or written in one access.
template <typename T, int Width>
struct alignas(sizeof(T) * Width) Pack {
  T entries[Width];
};

/// A pack's entries in what they are computed in.
template <typename C, int Width>
struct Values {
  C entries[Width];

  __device__ C& operator[](int i) { return entries[i]; }
  __device__ const C& operator[](int i) const { return entries[i]; }
};

template <int Width, typename T>
__device__ inline auto load(const T* from) {
  using Entry = std::remove_const_t<T>;
  const Pack<Entry, Width> pack = *reinterpret_cast<const Pack<Entry, Width>*>(from);
  Values<Compute<Entry>, Width> values;
#pragma unroll
  for (int i = 0; i < Width; ++i) values[i] = to_compute(pack.entries[i]);
  return values;
}

template <int Width, typename T>
__device__ inline void store(T* to, const Values<Compute<T>, Width>& values) {
  Pack<T, Width> pack;
#pragma unroll
  for (int i = 0; i < Width; ++i) pack.entries[i] = from_compute<T>(values[i]);
  // Said outright: the compiler splits an assignment into entries, and does not always find them together
  // again.
  if constexpr (sizeof(pack) == sizeof(uint4))
    __stwb(reinterpret_cast<uint4*>(to), reinterpret_cast<const uint4&>(pack));
  else
    *reinterpret_cast<Pack<T, Width>*>(to) = pack;
}

inline constexpr int kPackBytes = 16;

/// Whether packs fit: rows of all views begin where one may, and `columns` are whole packs.
inline bool packs_fit(std::int64_t columns, std::initializer_list<MatrixView> views) {
  for (const MatrixView& x : views) {
    const std::int64_t width = kPackBytes / size_of(x.dtype);
    if (columns % width != 0 || reinterpret_cast<std::uintptr_t>(x.data) % kPackBytes != 0 ||
        (x.rows > 1 && x.row_stride % width != 0)) {
      return false;
    }
  }
  return true;
}

/// Calls `function.operator()<T, Width>()` for the type that `dtype` names, with packs or entry by entry.
template <typename Function>
void dispatch_packs(DType dtype, bool packed, const Function& function) {
  const auto call = [&]<typename T>(T) {
    if (packed)
      function.template operator()<T, kPackBytes / int{sizeof(T)}>();
    else
      function.template operator()<T, 1>();
  };
  switch (dtype) {
    case DType::f32:
    case DType::tf32:
      return call(float{});
    case DType::f64:
      return call(double{});
    case DType::f16:
      return call(__half{});
    case DType::bf16:
      return call(__nv_bfloat16{});
  }
  throw std::logic_error("dispatch_packs: unknown dtype");
}

}  // namespace tpbench::cuda
