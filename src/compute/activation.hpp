#pragma once

#include <cstdint>

namespace tpbench {

/// x = gelu(x) = x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3))), the tanh form written with one exponential.
void gelu_row(float* x, std::int64_t count);
void gelu_row(double* x, std::int64_t count);

/// gate = silu(gate) * up, silu(g) = g / (1 + exp(-g))
void swiglu_row(float* gate, const float* up, std::int64_t count);
void swiglu_row(double* gate, const double* up, std::int64_t count);

}  // namespace tpbench
