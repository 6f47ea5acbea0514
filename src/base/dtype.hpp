#pragma once

#include <cstdint>
#include <stdexcept>

#include "base/enum_names.hpp"

namespace tpbench {

/// Element type of every tensor of a case.
enum class DType { f32, f64 };

/// Bytes of one element.
constexpr std::int64_t size_of(DType dtype) { return dtype == DType::f32 ? 4 : 8; }

/// Distance from 1 to the next larger number of the type (machine epsilon).
constexpr double epsilon_of(DType dtype) { return dtype == DType::f32 ? 0x1p-23 : 0x1p-52; }

/// Calls `function` with a value of the C++ type that `dtype` names: one switch for the whole program.
template <typename Function>
decltype(auto) dispatch(DType dtype, Function&& function) {
  switch (dtype) {
    case DType::f32:
      return function(float{});
    case DType::f64:
      return function(double{});
  }
  throw std::logic_error("dispatch: unknown dtype");
}

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::DType, {tpbench::DType::f32, "f32"}, {tpbench::DType::f64, "f64"});
