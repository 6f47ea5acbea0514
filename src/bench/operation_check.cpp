#include "bench/operation_check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/error_of_sums.hpp"
#include "bench/factored_sums.hpp"
#include "bench/row_reader.hpp"
#include "bench/vocabulary_check.hpp"
#include "compute/norm.hpp"

namespace tpbench {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The tanh form of gelu is x sigmoid(u).
constexpr double kTwiceRootTwoOverPi = 1.5957691216057307118;
double gelu_gate(double x) { return sigmoid(kTwiceRootTwoOverPi * (x + 0.044715 * x * x * x)); }
double gelu_slope(double x) {
  const double s = gelu_gate(x);
  return s + x * s * (1 - s) * kTwiceRootTwoOverPi * (1 + 3 * 0.044715 * x * x);
}
double silu_slope(double x) {
  const double s = sigmoid(x);
  return s + x * s * (1 - s);
}

using Values = std::vector<double>;

// A row without its mean (of a layer norm) and with a mean square of one.
struct NormedRow {
  Values values;
  double inverse = 0;

  NormedRow(Norm kind, const Values& row) : values(row) {
    const auto count = static_cast<double>(values.size());
    double mean = 0, squares = 0;
    for (const double value : values) mean += kind == Norm::layer_norm ? value / count : 0;
    for (const double value : values) squares += (value - mean) * (value - mean) / count;
    inverse = 1 / std::sqrt(squares + kNormEpsilon);
    for (double& value : values) value = (value - mean) * inverse;
  }
};

class CheckedBackend final : public CheckedVocabulary {
 public:
  using CheckedVocabulary::CheckedVocabulary;

  // C f = A (B f), and what stood in C before
  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    if (!errors_.on) return ForwardingBackend::multiply(a, b, c, store);
    const Values factors = random_factors(++calls_, c.first.columns);
    std::vector<FactoredSums> expected;
    for (std::int64_t i = 0; i < c.count; ++i) {
      expected.push_back(product_sums(a.at(i), row_sums(b.at(i), factors, *this), *this));
      if (store == Store::add) expected.back() += row_sums(c.at(i), factors, *this);
    }
    const std::uint64_t beside = bits_between_rows(c, *this);
    ForwardingBackend::multiply(a, b, c, store);
    if (bits_between_rows(c, *this) != beside) errors_.add(kNotANumber, 1);
    for (std::int64_t i = 0; i < c.count; ++i) {
      const MatrixView result = c.at(i);
      errors_.count_flop(2.0 * static_cast<double>(result.rows) * static_cast<double>(result.columns) *
                         static_cast<double>(a.columns()));
      compare(expected[static_cast<std::size_t>(i)], result, factors,
              {.dtype = result.dtype, .length = a.columns(), .is_product = true});
    }
  }

  void gelu(const MatrixView& x, const MatrixView& y) override {
    if (!errors_.on) return ForwardingBackend::gelu(x, y);
    check_rows(
        y, {x}, kEntryLength,
        [](std::int64_t, OperandRows in, ExpectedRow& expected) {
          const Values& row = in[0];
          for (std::size_t c = 0; c < row.size(); ++c) expected.set(c, row[c] * gelu_gate(row[c]), row[c]);
        },
        [&] { ForwardingBackend::gelu(x, y); });
  }

  void swiglu(const MatrixView& x, const MatrixView& y) override {
    if (!errors_.on) return ForwardingBackend::swiglu(x, y);
    check_rows(
        y, {x}, kEntryLength,
        [](std::int64_t, OperandRows in, ExpectedRow& expected) {
          const Values& row = in[0];
          const std::size_t half = row.size() / 2;
          for (std::size_t c = 0; c < half; ++c)
            expected.set(c, row[c] * sigmoid(row[c]) * row[half + c], row[c] * row[half + c]);
        },
        [&] { ForwardingBackend::swiglu(x, y); });
  }

  void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    if (!errors_.on) return ForwardingBackend::gelu_backward(x, dy, dx);
    check_rows(
        dx, {x, dy}, kEntryLength,
        [](std::int64_t, OperandRows in, ExpectedRow& expected) {
          const Values &row = in[0], &gradient = in[1];
          for (std::size_t c = 0; c < row.size(); ++c)
            expected.set(c, gradient[c] * gelu_slope(row[c]), gradient[c]);
        },
        [&] { ForwardingBackend::gelu_backward(x, dy, dx); });
  }

  void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    if (!errors_.on) return ForwardingBackend::swiglu_backward(x, dy, dx);
    check_rows(
        dx, {x, dy}, kEntryLength,
        [](std::int64_t, OperandRows in, ExpectedRow& expected) {
          const Values &row = in[0], &gradient = in[1];
          const std::size_t half = gradient.size();
          for (std::size_t c = 0; c < half; ++c) {
            const double gate = row[c], up = row[half + c];
            expected.set(c, gradient[c] * up * silu_slope(gate), gradient[c] * up);
            expected.set(half + c, gradient[c] * gate * sigmoid(gate), gradient[c] * gate);
          }
        },
        [&] { ForwardingBackend::swiglu_backward(x, dy, dx); });
  }

  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    if (!errors_.on) return ForwardingBackend::norm(kind, x, parameters, y);
    const Values gain = host(parameters, 0), shift = shift_of(kind, parameters);
    check_rows(
        y, {x}, x.columns,
        [&](std::int64_t, OperandRows in, ExpectedRow& expected) {
          const NormedRow normed(kind, in[0]);
          for (std::size_t c = 0; c < gain.size(); ++c)
            expected.set(c, normed.values[c] * gain[c] + shift[c], std::abs(gain[c]) + std::abs(shift[c]));
        },
        [&] { ForwardingBackend::norm(kind, x, parameters, y); });
  }

  void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                     const MatrixView& dx, const MatrixView& dparameters) override {
    if (!errors_.on) return ForwardingBackend::norm_backward(kind, x, parameters, dy, dx, dparameters);
    const Values gain = host(parameters, 0);
    const FactoredSums sums = norm_parameter_sums(kind, x, dy, dparameters);
    const std::uint64_t call = calls_;
    check_rows(
        dx, {x, dy, dx}, x.columns,
        [&](std::int64_t, OperandRows in, ExpectedRow& expected) {
          const NormedRow normed(kind, in[0]);
          const Values &gradient = in[1], &before = in[2];
          const auto count = static_cast<double>(gain.size());
          double mean = 0, slope = 0;
          for (std::size_t c = 0; c < gain.size(); ++c) {
            const double d = gradient[c] * gain[c];
            if (kind == Norm::layer_norm) mean += d / count;
            slope += d * normed.values[c] / count;
          }
          for (std::size_t c = 0; c < gain.size(); ++c) {
            const double d = gradient[c] * gain[c];
            expected.set(c, before[c] + normed.inverse * (d - mean - normed.values[c] * slope),
                         std::abs(before[c]) + normed.inverse * std::abs(d));
          }
        },
        [&] { ForwardingBackend::norm_backward(kind, x, parameters, dy, dx, dparameters); });
    compare(sums, dparameters, random_factors(call, x.columns), {.dtype = x.dtype, .length = x.rows});
  }

  void softmax(const MatrixView& x, const Visible& visible, double scale) override {
    if (!errors_.on) return ForwardingBackend::softmax(x, visible, scale);
    check_rows(
        x, {x}, kEntryLength + x.columns,
        [&](std::int64_t r, OperandRows in, ExpectedRow& expected) {
          const Values& row = in[0];
          const std::int64_t valid = visible.of_row(r);
          const double largest = *std::max_element(row.begin(), row.begin() + valid);
          double sum = 0;
          for (std::int64_t c = 0; c < valid; ++c)
            sum += std::exp(scale * (row[static_cast<std::size_t>(c)] - largest));
          for (std::size_t c = 0; c < row.size(); ++c) {
            const bool seen = static_cast<std::int64_t>(c) < valid;
            expected.set(c, seen ? std::exp(scale * (row[c] - largest)) / sum : 0);
          }
        },
        [&] { ForwardingBackend::softmax(x, visible, scale); });
  }

  void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale) override {
    if (!errors_.on) return ForwardingBackend::softmax_backward(p, dp, scale);
    check_rows(
        dp, {p, dp}, kEntryLength + p.columns,
        [&](std::int64_t, OperandRows in, ExpectedRow& expected) {
          const Values &weights = in[0], &gradient = in[1];
          double mean = 0, size = 0;
          for (std::size_t c = 0; c < weights.size(); ++c) {
            mean += weights[c] * gradient[c];
            size += weights[c] * std::abs(gradient[c]);
          }
          // A row with one visible key has a gradient of zero, of terms that cancel out.
          for (std::size_t c = 0; c < weights.size(); ++c)
            expected.set(c, scale * weights[c] * (gradient[c] - mean),
                         scale * weights[c] * (std::abs(gradient[c]) + size));
        },
        [&] { ForwardingBackend::softmax_backward(p, dp, scale); });
  }

  void copy(const MatrixView& from, const MatrixView& to) override {
    if (!errors_.on) return ForwardingBackend::copy(from, to);
    check_rows(
        to, {from}, 1,
        [](std::int64_t, OperandRows in, ExpectedRow& expected) { expected.values = expected.sizes = in[0]; },
        [&] { ForwardingBackend::copy(from, to); }, kCopied);
  }

  void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) override {
    if (!errors_.on) return ForwardingBackend::add(a, b, sum);
    check_rows(
        sum, {a, b}, 2,
        [](std::int64_t, OperandRows in, ExpectedRow& expected) {
          for (std::size_t c = 0; c < in[0].size(); ++c)
            expected.set(c, in[0][c] + in[1][c], std::abs(in[0][c]) + std::abs(in[1][c]));
        },
        [&] { ForwardingBackend::add(a, b, sum); });
  }

  void set_zero(const MatrixView& x) override {
    if (!errors_.on) return ForwardingBackend::set_zero(x);
    check_rows(
        x, {}, 1, [](std::int64_t, OperandRows, ExpectedRow&) {}, [&] { ForwardingBackend::set_zero(x); },
        kCopied);
  }

  // Weights and inputs are what the generator says, bit for bit.
  void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) override {
    ForwardingBackend::fill(x, key, row, column);
    if (!errors_.on) return;
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      parallel_for(x.rows, [&](std::int64_t first, std::int64_t last) {
        RowReader rows(x.row_slice(first, last - first), *this);
        std::vector<T> expected(static_cast<std::size_t>(x.columns));
        for (std::int64_t r = first; r < last; ++r) {
          fill_row(expected.data(), key, row + r, column, x.columns);
          const T* found = static_cast<const T*>(rows.row(r - first));
          if (!std::equal(expected.begin(), expected.end(), found)) errors_.add(kNotANumber, 1);
        }
      });
    });
    heartbeat_.beat(Activity::compute);
  }

 private:
  // The factored sums of the gradients of gain and shift, over all rows.
  FactoredSums norm_parameter_sums(Norm kind, const MatrixView& x, const MatrixView& dy,
                                   const MatrixView& dparameters) {
    const Values factors = random_factors(++calls_, x.columns);
    const std::int64_t rows = dparameters.rows;
    FactoredSums sums = FactoredSums::zeros(dparameters.dtype, rows, x.columns);
    RowReader inputs(x, *this), gradients(dy, *this);
    Values row, gradient;
    for (std::int64_t r = 0; r < x.rows; ++r) {
      inputs.row_to(r, row);
      gradients.row_to(r, gradient);
      const NormedRow normed(kind, row);
      for (std::size_t c = 0; c < factors.size(); ++c) {
        const double shift = gradient[c] * factors[c], gain = shift * normed.values[c];
        const auto block = static_cast<std::int64_t>(c) / columns_of_sums(dparameters.dtype, x.columns);
        const auto place = static_cast<std::size_t>(block * rows);
        sums.sums[place] += gain;
        sums.squares[place] += gain * gain;
        if (kind == Norm::rms_norm) continue;
        sums.sums[place + 1] += shift;
        sums.squares[place + 1] += shift * shift;
      }
    }
    return sums;
  }

  Values shift_of(Norm kind, const MatrixView& parameters) {
    return kind == Norm::layer_norm ? host(parameters, 1)
                                    : Values(static_cast<std::size_t>(parameters.columns));
  }
};

}  // namespace

double rounding_tolerance(DType dtype, std::int64_t length, double growth) {
  constexpr double kRoom = 8;
  const double sums = kRoom * epsilon_of(is_narrow(dtype) ? DType::f32 : dtype) *
                      std::sqrt(static_cast<double>(std::max<std::int64_t>(1, length)));
  return is_narrow(dtype) ? kRoom * epsilon_of(dtype) * growth + sums : sums;
}

double operation_tolerance(const Rounding& r) {
  if (r.dtype == DType::f64) return rounding_tolerance(r.dtype, r.length + r.terms);
  const bool stores_halves = size_of(r.dtype) == 2;
  if (!stores_halves) return rounding_tolerance(r.is_product ? r.dtype : DType::f32, r.length);
  constexpr double kRoom = 3;
  return kRoom * epsilon_of(r.dtype) * std::sqrt(static_cast<double>(r.stores)) +
         rounding_tolerance(DType::f32, r.length);
}

void OperationErrors::add(double error, double tolerance) {
  const double ratio = error / tolerance;
  const std::lock_guard lock(mutex_);
  ++operations_;
  worst_ = std::isfinite(ratio) ? std::max(worst_, ratio) : kNotANumber;
}

void OperationErrors::count_flop(double flop) {
  const std::lock_guard lock(mutex_);
  flop_ += flop;
}

void OperationErrors::count_bytes(std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  bytes_ += bytes;
}

double OperationErrors::worst() const {
  const std::lock_guard lock(mutex_);
  return worst_;
}

std::int64_t OperationErrors::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

double OperationErrors::flop() const {
  const std::lock_guard lock(mutex_);
  return flop_;
}

std::int64_t OperationErrors::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::unique_ptr<Backend> make_checked_backend(std::unique_ptr<Backend> inner, OperationErrors& errors,
                                              Heartbeat& heartbeat) {
  return std::make_unique<CheckedBackend>(std::move(inner), errors, heartbeat);
}

}  // namespace tpbench
