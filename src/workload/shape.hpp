#pragma once

#include <cstdint>

#include "base/dtype.hpp"
#include "base/enum_names.hpp"

namespace tpbench {

enum class Activation { gelu, swiglu };
enum class Combine { all_gather, all_reduce };

/// All that the arithmetic of a layer depends on; what it does not use is 0.
struct Shape {
  std::int64_t tokens = 0;           ///< T = batch size x sequence length
  std::int64_t hidden_size = 0;      ///< h
  std::int64_t ffn_hidden_size = 0;  ///< f
  std::int64_t num_layers = 1;       ///< distinct weight sets, run one after the other in a step
  std::int64_t tp_degree = 1;        ///< t
  DType dtype = DType::f32;
  Activation activation = Activation::gelu;
  Combine combine = Combine::all_gather;

  [[nodiscard]] std::int64_t element_size() const { return size_of(dtype); }
};

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Activation, {tpbench::Activation::gelu, "gelu"},
                   {tpbench::Activation::swiglu, "swiglu"});
TPBENCH_ENUM_NAMES(tpbench::Combine, {tpbench::Combine::all_gather, "all_gather"},
                   {tpbench::Combine::all_reduce, "all_reduce"});
