#pragma once

#include <cmath>

#include "compute/norm.hpp"
#include "layers/reference.hpp"
#include "workload/shape.hpp"

namespace tpbench {

/// Rows of parameters of one norm: gain, and shift for a layer norm.
inline std::int64_t norm_rows(const Shape& shape) { return shape.norm == Norm::layer_norm ? 2 : 1; }

/// A norm of rows and its gradients, as a textbook writes them. `parameters` is [gain] or [gain, shift].
template <typename Real>
class NormReference {
 public:
  using Rows = ReferenceRows<Real>;

  NormReference(Norm kind, const Rows& x, const Rows& parameters)
      : kind_(kind), normed_(x), parameters_(parameters) {
    for (std::size_t r = 0; r < x.rows(); ++r) inverse_.push_back(centre_and_scale(normed_.row(r)));
  }

  [[nodiscard]] Rows output() const {
    Rows y = normed_;
    for (std::size_t r = 0; r < y.rows(); ++r) {
      for (std::int64_t c = 0; c < y.columns; ++c) {
        y.row(r)[c] *= parameters_.row(0)[c];
        if (centred()) y.row(r)[c] += parameters_.row(1)[c];
      }
    }
    return y;
  }

  /// dx; the gradients of the parameters go to `dparameters`.
  Rows backward(const Rows& dy, Rows& dparameters) const {
    dparameters = zero_rows<Real>(parameters_.rows(), dy.columns);
    Rows dx = zero_rows<Real>(dy.rows(), dy.columns);
    const auto count = static_cast<Real>(dy.columns);
    for (std::size_t r = 0; r < dy.rows(); ++r) {
      Real mean = 0, slope = 0;
      for (std::int64_t c = 0; c < dy.columns; ++c) {
        const Real d = dy.row(r)[c] * parameters_.row(0)[c];
        if (centred()) mean += d / count;
        slope += d * normed_.row(r)[c] / count;
        dparameters.row(0)[c] += dy.row(r)[c] * normed_.row(r)[c];
        if (centred()) dparameters.row(1)[c] += dy.row(r)[c];
      }
      for (std::int64_t c = 0; c < dy.columns; ++c) {
        const Real d = dy.row(r)[c] * parameters_.row(0)[c];
        dx.row(r)[c] = inverse_[r] * (d - mean - normed_.row(r)[c] * slope);
      }
    }
    return dx;
  }

 private:
  [[nodiscard]] bool centred() const { return kind_ == Norm::layer_norm; }

  Real centre_and_scale(Real* row) const {
    const auto count = static_cast<Real>(normed_.columns);
    Real mean = 0, squares = 0;
    for (std::int64_t c = 0; centred() && c < normed_.columns; ++c) mean += row[c] / count;
    for (std::int64_t c = 0; c < normed_.columns; ++c) squares += (row[c] - mean) * (row[c] - mean) / count;
    const Real inverse = 1 / std::sqrt(squares + static_cast<Real>(kNormEpsilon));
    for (std::int64_t c = 0; c < normed_.columns; ++c) row[c] = (row[c] - mean) * inverse;
    return inverse;
  }

  Norm kind_;
  Rows normed_;
  Rows parameters_;
  std::vector<Real> inverse_;
};

}  // namespace tpbench
