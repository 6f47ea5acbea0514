#pragma once

#include <cstdint>
#include <stdexcept>

#include "base/enum_names.hpp"

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

/// Calls `function` with a value of the C++ type that `dtype` names: one switch for the whole program.
template <typename Function>
decltype(auto) dispatch(DType dtype, Function&& function) {
  switch (dtype) {
    case DType::f32:
    case DType::tf32:
      return function(float{});
    case DType::f64:
      return function(double{});
    default:
      break;
  }
  throw std::logic_error("dispatch: unknown dtype");
}

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::DType, {tpbench::DType::f32, "f32"}, {tpbench::DType::f64, "f64"},
                   {tpbench::DType::tf32, "tf32"}, {tpbench::DType::f16, "f16"},
                   {tpbench::DType::bf16, "bf16"});
