#include "compute/norm.hpp"

#include <cmath>

#include "base/vectorise.hpp"

namespace tpbench {
namespace {

template <typename T>
[[gnu::always_inline]] inline RowScale<T> rms(const T* x, std::int64_t count) {
  T squares = 0;
  for (std::int64_t i = 0; i < count; ++i) squares += x[i] * x[i];
  return {0, T(1) / std::sqrt(squares / static_cast<T>(count) + static_cast<T>(kNormEpsilon))};
}

// The variance from differences to the mean: the difference of two large sums would lose digits.
template <typename T>
[[gnu::always_inline]] inline RowScale<T> layer(const T* x, std::int64_t count) {
  T sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += x[i];
  const T mean = sum / static_cast<T>(count);
  T squares = 0;
  for (std::int64_t i = 0; i < count; ++i) squares += (x[i] - mean) * (x[i] - mean);
  return {mean, T(1) / std::sqrt(squares / static_cast<T>(count) + static_cast<T>(kNormEpsilon))};
}

template <typename T>
[[gnu::always_inline]] inline void norm(const T* x, RowScale<T> scale, const T* gain, const T* shift, T* y,
                                        std::int64_t count) {
  if (shift == nullptr) {
    for (std::int64_t i = 0; i < count; ++i) y[i] = (x[i] - scale.mean) * scale.inverse * gain[i];
  } else {
    for (std::int64_t i = 0; i < count; ++i) y[i] = (x[i] - scale.mean) * scale.inverse * gain[i] + shift[i];
  }
}

template <typename T>
[[gnu::always_inline]] inline void norm_backward(const T* x, RowScale<T> scale, const T* gain, bool centred,
                                                 const T* dy, T* dx, std::int64_t count) {
  T sum = 0, dot = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const T scaled = dy[i] * gain[i];
    sum += scaled;
    dot += scaled * ((x[i] - scale.mean) * scale.inverse);
  }
  const T mean = centred ? sum / static_cast<T>(count) : T(0), slope = dot / static_cast<T>(count);
  for (std::int64_t i = 0; i < count; ++i) {
    const T normed = (x[i] - scale.mean) * scale.inverse;
    dx[i] += scale.inverse * (dy[i] * gain[i] - mean - normed * slope);
  }
}

template <typename T>
[[gnu::always_inline]] inline void add_gradients(const T* x, RowScale<T> scale, const T* dy, T* dgain,
                                                 T* dshift, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) dgain[i] += dy[i] * ((x[i] - scale.mean) * scale.inverse);
  if (dshift == nullptr) return;
  for (std::int64_t i = 0; i < count; ++i) dshift[i] += dy[i];
}

}  // namespace

TPBENCH_VECTORISE RowScale<float> rms_scale(const float* x, std::int64_t count) { return rms(x, count); }
TPBENCH_VECTORISE RowScale<double> rms_scale(const double* x, std::int64_t count) { return rms(x, count); }
TPBENCH_VECTORISE RowScale<float> layer_scale(const float* x, std::int64_t count) { return layer(x, count); }
TPBENCH_VECTORISE RowScale<double> layer_scale(const double* x, std::int64_t count) {
  return layer(x, count);
}
TPBENCH_VECTORISE void norm_row(const float* x, RowScale<float> scale, const float* gain, const float* shift,
                                float* y, std::int64_t count) {
  norm(x, scale, gain, shift, y, count);
}
TPBENCH_VECTORISE void norm_row(const double* x, RowScale<double> scale, const double* gain,
                                const double* shift, double* y, std::int64_t count) {
  norm(x, scale, gain, shift, y, count);
}
TPBENCH_VECTORISE void norm_backward_row(const float* x, RowScale<float> scale, const float* gain,
                                         bool centred, const float* dy, float* dx, std::int64_t count) {
  norm_backward(x, scale, gain, centred, dy, dx, count);
}
TPBENCH_VECTORISE void norm_backward_row(const double* x, RowScale<double> scale, const double* gain,
                                         bool centred, const double* dy, double* dx, std::int64_t count) {
  norm_backward(x, scale, gain, centred, dy, dx, count);
}
TPBENCH_VECTORISE void add_norm_gradients(const float* x, RowScale<float> scale, const float* dy,
                                          float* dgain, float* dshift, std::int64_t count) {
  add_gradients(x, scale, dy, dgain, dshift, count);
}
TPBENCH_VECTORISE void add_norm_gradients(const double* x, RowScale<double> scale, const double* dy,
                                          double* dgain, double* dshift, std::int64_t count) {
  add_gradients(x, scale, dy, dgain, dshift, count);
}

}  // namespace tpbench
