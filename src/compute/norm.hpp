#pragma once

#include <cstdint>

namespace tpbench {

/// What is taken off a row and what it is multiplied with: y = (x - mean) * inverse, before scale and shift.
template <typename T>
struct RowScale {
  T mean = 0;  ///< 0 for an RMS norm
  T inverse = 0;
};

/// Added to the mean square or the variance, so that a row of zeros stays finite.
inline constexpr double kNormEpsilon = 1e-5;

/// Root mean square norm (arXiv 1910.07467): inverse = 1 / sqrt(mean of x^2 + epsilon)
RowScale<float> rms_scale(const float* x, std::int64_t count);
RowScale<double> rms_scale(const double* x, std::int64_t count);
/// Layer norm (arXiv 1607.06450): inverse = 1 / sqrt(variance + epsilon)
RowScale<float> layer_scale(const float* x, std::int64_t count);
RowScale<double> layer_scale(const double* x, std::int64_t count);

/// y = (x - mean) inverse gain + shift; `shift` may be null.
void norm_row(const float* x, RowScale<float> scale, const float* gain, const float* shift, float* y,
              std::int64_t count);
void norm_row(const double* x, RowScale<double> scale, const double* gain, const double* shift, double* y,
              std::int64_t count);

/// Adds to dx the gradient of x: inverse (dy gain - [mean of dy gain] - x^ mean of dy gain x^), where x^ is
/// the normed row, and the part in brackets is for a layer norm only (`centred`).
void norm_backward_row(const float* x, RowScale<float> scale, const float* gain, bool centred,
                       const float* dy, float* dx, std::int64_t count);
void norm_backward_row(const double* x, RowScale<double> scale, const double* gain, bool centred,
                       const double* dy, double* dx, std::int64_t count);

/// dgain += dy x^; dshift += dy unless it is null.
void add_norm_gradients(const float* x, RowScale<float> scale, const float* dy, float* dgain, float* dshift,
                        std::int64_t count);
void add_norm_gradients(const double* x, RowScale<double> scale, const double* dy, double* dgain,
                        double* dshift, std::int64_t count);

}  // namespace tpbench
