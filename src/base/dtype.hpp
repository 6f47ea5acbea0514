#pragma once

#include <cstdint>
#include <stdexcept>

#include "base/enum_names.hpp"
#include "base/half.hpp"

namespace tpbench {

/// Element type of every tensor of a case. Products of the narrow ones (tf32, f16, bf16) are summed in f32;
/// tf32 lies in memory as f32, and only factors of products are rounded to it.
enum class DType { f32, f64, tf32, f16, bf16 };

/// Bytes of one element.
constexpr std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 8;
    case DType::f16:
    case DType::bf16:
      return 2;
    default:
      return 4;
  }
}

/// Whether factors of products have fewer digits than the sums that they end in.
constexpr bool is_narrow(DType dtype) { return dtype != DType::f32 && dtype != DType::f64; }

/// Distance from 1 to the next larger number of the type (machine epsilon).
constexpr double epsilon_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 0x1p-52;
    case DType::tf32:
    case DType::f16:
      return 0x1p-10;
    case DType::bf16:
      return 0x1p-7;
    default:
      return 0x1p-23;
  }
}

/// The smallest number that has all digits of the type: below it they go one after the other.
constexpr double smallest_normal_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 0x1p-1022;
    case DType::f16:
      return 0x1p-14;
    default:
      return 0x1p-126;
  }
}

/// Calls `function` with a value of the C++ type that holds an element of `dtype` in memory.
template <typename Function>
decltype(auto) dispatch(DType dtype, Function&& function) {
  switch (dtype) {
    case DType::f32:
    case DType::tf32:
      return function(float{});
    case DType::f64:
      return function(double{});
    case DType::f16:
      return function(Float16{});
    case DType::bf16:
      return function(BFloat16{});
  }
  throw std::logic_error("dispatch: unknown dtype");
}

/// The same for code that computes in the element type on the processor: f32 and f64 only; throws
/// std::logic_error for the others.
template <typename Function>
decltype(auto) dispatch_computed(DType dtype, Function&& function) {
  switch (dtype) {
    case DType::f32:
      return function(float{});
    case DType::f64:
      return function(double{});
    default:
      throw std::logic_error("dispatch_computed: a dtype that the processor does not compute in");
  }
}

/// The dtype whose elements are of type T in memory, and not rounded further.
template <typename T>
inline constexpr DType kDTypeOf = DType::f32;
template <>
inline constexpr DType kDTypeOf<double> = DType::f64;
template <>
inline constexpr DType kDTypeOf<Float16> = DType::f16;
template <>
inline constexpr DType kDTypeOf<BFloat16> = DType::bf16;

/// Each value becomes the nearest one that an element of `dtype`, which is not wider than f32, can have in
/// memory.
inline void round_to(DType dtype, float* values, std::int64_t count) {
  if (dtype == DType::f16) round_to_float16(values, count);
  if (dtype == DType::bf16) round_to_bfloat16(values, count);
}

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::DType, {tpbench::DType::f32, "f32"}, {tpbench::DType::f64, "f64"},
                   {tpbench::DType::tf32, "tf32"}, {tpbench::DType::f16, "f16"},
                   {tpbench::DType::bf16, "bf16"});
