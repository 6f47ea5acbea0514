#include "compute/cross_entropy.hpp"

#include <algorithm>
#include <cmath>

#include "base/vectorise.hpp"

namespace tpbench {
namespace {

template <typename T>
[[gnu::always_inline]] inline T largest_in(const T* x, std::int64_t count, T least) {
  T largest = least;
  for (std::int64_t i = 0; i < count; ++i) largest = std::max(largest, x[i]);
  return largest;
}

template <typename T>
[[gnu::always_inline]] inline T exponentials(T* x, std::int64_t count, T largest) {
  T sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    x[i] = std::exp(x[i] - largest);
    sum += x[i];
  }
  return sum;
}

}  // namespace

TPBENCH_VECTORISE float largest_of(const float* x, std::int64_t count, float least) {
  return largest_in(x, count, least);
}
TPBENCH_VECTORISE double largest_of(const double* x, std::int64_t count, double least) {
  return largest_in(x, count, least);
}
TPBENCH_VECTORISE float exponentials_row(float* x, std::int64_t count, float largest) {
  return exponentials(x, count, largest);
}
TPBENCH_VECTORISE double exponentials_row(double* x, std::int64_t count, double largest) {
  return exponentials(x, count, largest);
}
TPBENCH_VECTORISE void scale_row(float* x, std::int64_t count, float factor) {
  for (std::int64_t i = 0; i < count; ++i) x[i] *= factor;
}
TPBENCH_VECTORISE void scale_row(double* x, std::int64_t count, double factor) {
  for (std::int64_t i = 0; i < count; ++i) x[i] *= factor;
}

}  // namespace tpbench
