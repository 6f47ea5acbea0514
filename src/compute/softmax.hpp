#pragma once

#include <cstdint>

namespace tpbench {

/// x[i] = exp(scale x[i]) / sum of exp(scale x[j]) over j < valid; 0 from `valid` on. 0 < valid <= count.
void softmax_row(float* x, std::int64_t valid, std::int64_t count, double scale);
void softmax_row(double* x, std::int64_t valid, std::int64_t count, double scale);

/// dp[i] = scale p[i] (dp[i] - sum of p[j] dp[j]): from the gradient of the softmax's result to that of what
/// was put into it.
void softmax_backward_row(const float* p, float* dp, std::int64_t count, double scale);
void softmax_backward_row(const double* p, double* dp, std::int64_t count, double scale);

}  // namespace tpbench
