#pragma once

#include <cstdint>

namespace tpbench {

/// y = gelu(x) = x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3))), the tanh form written with one exponential.
/// `y` may be `x`.
void gelu_row(const float* x, float* y, std::int64_t count);
void gelu_row(const double* x, double* y, std::int64_t count);

/// y = silu(gate) * up, silu(g) = g / (1 + exp(-g)). `y` may be `gate`.
void swiglu_row(const float* gate, const float* up, float* y, std::int64_t count);
void swiglu_row(const double* gate, const double* up, double* y, std::int64_t count);

/// dx = gelu'(x) dy. `dx` may be `dy`.
void gelu_backward_row(const float* x, const float* dy, float* dx, std::int64_t count);
void gelu_backward_row(const double* x, const double* dy, double* dx, std::int64_t count);

/// dgate = silu'(gate) up dy, dup = silu(gate) dy. `dgate` may be `dy`.
void swiglu_backward_row(const float* gate, const float* up, const float* dy, float* dgate, float* dup,
                         std::int64_t count);
void swiglu_backward_row(const double* gate, const double* up, const double* dy, double* dgate, double* dup,
                         std::int64_t count);

}  // namespace tpbench
