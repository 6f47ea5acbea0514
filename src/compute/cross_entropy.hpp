#pragma once

#include <cstdint>

namespace tpbench {

/// The largest of x[i] and `least`.
float largest_of(const float* x, std::int64_t count, float least);
double largest_of(const double* x, std::int64_t count, double least);

/// x[i] = exp(x[i] - largest); returns their sum.
float exponentials_row(float* x, std::int64_t count, float largest);
double exponentials_row(double* x, std::int64_t count, double largest);

/// x[i] *= factor
void scale_row(float* x, std::int64_t count, float factor);
void scale_row(double* x, std::int64_t count, double factor);

}  // namespace tpbench
