#pragma once

#include <cstdint>

#include "base/dtype.hpp"

namespace tpbench {

/// Floating-point operations of one call of `run_fma_loop`.
double fma_loop_flop(DType dtype, std::int64_t rounds);

/// Multiplies and adds in registers, `rounds` times in each of twelve independent chains, in the widest
/// vectors that this CPU has: as fast as a core can be, whatever libraries and memory do. `dtype` is f32 or
/// f64. Returns a sum that depends on all of it.
double run_fma_loop(DType dtype, std::int64_t rounds);

}  // namespace tpbench
