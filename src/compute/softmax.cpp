#include "compute/softmax.hpp"

#include <algorithm>
#include <cmath>

#include "base/vectorise.hpp"

namespace tpbench {
namespace {

// The largest is taken off first, so that no exponential overflows.
template <typename T>
[[gnu::always_inline]] inline void softmax(T* x, std::int64_t valid, std::int64_t count, T scale) {
  T largest = x[0];
  for (std::int64_t i = 1; i < valid; ++i) largest = std::max(largest, x[i]);
  T sum = 0;
  for (std::int64_t i = 0; i < valid; ++i) {
    x[i] = std::exp(scale * (x[i] - largest));
    sum += x[i];
  }
  const T factor = T(1) / sum;
  for (std::int64_t i = 0; i < valid; ++i) x[i] *= factor;
  for (std::int64_t i = valid; i < count; ++i) x[i] = 0;
}

template <typename T>
[[gnu::always_inline]] inline void softmax_backward(const T* p, T* dp, std::int64_t count, T scale) {
  T dot = 0;
  for (std::int64_t i = 0; i < count; ++i) dot += p[i] * dp[i];
  for (std::int64_t i = 0; i < count; ++i) dp[i] = scale * p[i] * (dp[i] - dot);
}

}  // namespace

TPBENCH_VECTORISE void softmax_row(float* x, std::int64_t valid, std::int64_t count, double scale) {
  softmax(x, valid, count, static_cast<float>(scale));
}
TPBENCH_VECTORISE void softmax_row(double* x, std::int64_t valid, std::int64_t count, double scale) {
  softmax(x, valid, count, scale);
}
TPBENCH_VECTORISE void softmax_backward_row(const float* p, float* dp, std::int64_t count, double scale) {
  softmax_backward(p, dp, count, static_cast<float>(scale));
}
TPBENCH_VECTORISE void softmax_backward_row(const double* p, double* dp, std::int64_t count, double scale) {
  softmax_backward(p, dp, count, scale);
}

}  // namespace tpbench
