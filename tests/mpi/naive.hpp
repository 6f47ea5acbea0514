#pragma once

#include <vector>

#include "workload/shape.hpp"
#include "world.hpp"

namespace tpbench::test {

/// The unsharded output of a layer with a GEMM, [T, h] row-major, as a textbook writes it: whole matrices,
/// three loops, long double.
std::vector<long double> textbook_output(const Variant& variant, const Shape& shape, std::uint64_t seed,
                                         std::int64_t layer);

}  // namespace tpbench::test
