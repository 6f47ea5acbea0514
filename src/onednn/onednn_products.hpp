#pragma once

#include <memory>
#include <optional>
#include <string>

#include "compute/products.hpp"

namespace tpbench::onednn {

/// oneDNN's matmul: one primitive for each shape, made at its first product.
std::unique_ptr<Products> make_products(const ProductNeeds& needs);

/// Why this oneDNN cannot multiply matrices of that type on this CPU; empty where it can.
std::optional<std::string> why_not(DType dtype);

/// {"library": "oneDNN", "version": "2.6.3", "cpu_isa": "avx512_core_bf16", "threading": "OpenMP", ...}
Json describe();

}  // namespace tpbench::onednn
