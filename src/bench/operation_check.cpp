#include "bench/operation_check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/signed_sums.hpp"
#include "compute/norm.hpp"

namespace tpbench {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The largest difference over what rounding may be expected to leave of terms of this size.
double error_of_sums(const std::vector<double>& expected, const std::vector<double>& found,
                     const std::vector<double>& squares) {
  double error = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double distance = std::abs(found[i] - expected[i]);
    if (distance == 0) continue;
    const double relative = distance / std::sqrt(squares[i]);
    error = std::isfinite(relative) ? std::max(error, relative) : kInfinity;
  }
  return error;
}

// The largest difference over the largest value expected.
double error_of_entries(const std::vector<double>& expected, const std::vector<double>& found) {
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double distance = std::abs(found[i] - expected[i]);
    error = std::isfinite(distance) ? std::max(error, distance) : kInfinity;
    largest = std::max(largest, std::abs(expected[i]));
  }
  if (error == 0) return 0;
  return largest > 0 ? error / largest : kInfinity;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The tanh form of gelu is x sigmoid(u).
double gelu_gate(double x) { return sigmoid(1.5957691216057307118 * (x + 0.044715 * x * x * x)); }
double gelu_slope(double x) {
  const double s = gelu_gate(x);
  return s + x * s * (1 - s) * 1.5957691216057307118 * (1 + 3 * 0.044715 * x * x);
}
double silu_slope(double x) {
  const double s = sigmoid(x);
  return s + x * s * (1 - s);
}

class CheckedBackend final : public ForwardingBackend {
 public:
  CheckedBackend(std::unique_ptr<Backend> inner, OperationErrors& errors, Heartbeat& heartbeat)
      : ForwardingBackend(std::move(inner)), errors_(errors), heartbeat_(heartbeat) {}

  // C s = A (B s), and what stood in C before
  void multiply(const Factor& a, const Factor& b, const MatrixView& c, Store store) override {
    if (!errors_.on) return ForwardingBackend::multiply(a, b, c, store);
    const std::vector<double> signs = random_signs(c.columns);
    SignedSums expected = product_sums(a, row_sums(b, signs, *this), *this);
    if (store == Store::add) {
      const SignedSums before = row_sums(c, signs, *this);
      for (std::size_t r = 0; r < before.sums.size(); ++r) {
        expected.sums[r] += before.sums[r];
        expected.squares[r] += before.squares[r];
      }
    }
    ForwardingBackend::multiply(a, b, c, store);
    note(error_of_sums(expected.sums, row_sums(c, signs, *this).sums, expected.squares));
  }

  void gelu(const MatrixView& x, const MatrixView& y) override {
    if (!errors_.on) return ForwardingBackend::gelu(x, y);
    std::vector<double> expected = host(x);
    for (double& value : expected) value *= gelu_gate(value);
    ForwardingBackend::gelu(x, y);
    compare(expected, y);
  }

  void swiglu(const MatrixView& x, const MatrixView& y) override {
    if (!errors_.on) return ForwardingBackend::swiglu(x, y);
    const std::vector<double> gate = host(y_part(x, 0)), up = host(y_part(x, 1));
    std::vector<double> expected(gate.size());
    for (std::size_t i = 0; i < gate.size(); ++i) expected[i] = gate[i] * sigmoid(gate[i]) * up[i];
    ForwardingBackend::swiglu(x, y);
    compare(expected, y);
  }

  void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    if (!errors_.on) return ForwardingBackend::gelu_backward(x, dy, dx);
    const std::vector<double> input = host(x);
    std::vector<double> expected = host(dy);
    for (std::size_t i = 0; i < input.size(); ++i) expected[i] *= gelu_slope(input[i]);
    ForwardingBackend::gelu_backward(x, dy, dx);
    compare(expected, dx);
  }

  void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    if (!errors_.on) return ForwardingBackend::swiglu_backward(x, dy, dx);
    const std::vector<double> gate = host(y_part(x, 0)), up = host(y_part(x, 1)), gradient = host(dy);
    std::vector<double> dgate(gate.size()), dup(gate.size());
    for (std::size_t i = 0; i < gate.size(); ++i) {
      dgate[i] = gradient[i] * up[i] * silu_slope(gate[i]);
      dup[i] = gradient[i] * gate[i] * sigmoid(gate[i]);
    }
    ForwardingBackend::swiglu_backward(x, dy, dx);
    compare(dgate, y_part(dx, 0));
    compare(dup, y_part(dx, 1));
  }

  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    if (!errors_.on) return ForwardingBackend::norm(kind, x, parameters, y);
    const Normed normed(kind, x, *this);
    const std::vector<double> p = host(parameters);
    std::vector<double> expected = normed.values;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::size_t c = i % normed.columns;
      expected[i] = expected[i] * p[c] + (kind == Norm::layer_norm ? p[normed.columns + c] : 0);
    }
    ForwardingBackend::norm(kind, x, parameters, y);
    compare(expected, y);
  }

  void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                     const MatrixView& dx, const MatrixView& dparameters) override {
    if (!errors_.on) return ForwardingBackend::norm_backward(kind, x, parameters, dy, dx, dparameters);
    const Normed normed(kind, x, *this);
    const std::vector<double> p = host(parameters), gradient = host(dy);
    std::vector<double> expected = host(dx), sums(p.size());
    const std::size_t columns = normed.columns;
    for (std::size_t r = 0; r < normed.inverse.size(); ++r) {
      double mean = 0, slope = 0;
      for (std::size_t c = 0, i = r * columns; c < columns; ++c, ++i) {
        const double d = gradient[i] * p[c];
        if (kind == Norm::layer_norm) mean += d / static_cast<double>(columns);
        slope += d * normed.values[i] / static_cast<double>(columns);
        sums[c] += gradient[i] * normed.values[i];
        if (kind == Norm::layer_norm) sums[columns + c] += gradient[i];
      }
      for (std::size_t c = 0, i = r * columns; c < columns; ++c, ++i)
        expected[i] += normed.inverse[r] * (gradient[i] * p[c] - mean - normed.values[i] * slope);
    }
    ForwardingBackend::norm_backward(kind, x, parameters, dy, dx, dparameters);
    compare(expected, dx);
    compare(sums, dparameters);
  }

  void softmax(const MatrixView& x, std::int64_t first_valid, std::int64_t step, double scale) override {
    if (!errors_.on) return ForwardingBackend::softmax(x, first_valid, step, scale);
    std::vector<double> expected = host(x);
    for (std::int64_t r = 0; r < x.rows; ++r) {
      double* row = expected.data() + r * x.columns;
      const std::int64_t valid = first_valid + r * step;
      const double largest = *std::max_element(row, row + valid);
      double sum = 0;
      for (std::int64_t c = 0; c < valid; ++c) sum += row[c] = std::exp(scale * (row[c] - largest));
      for (std::int64_t c = 0; c < x.columns; ++c) row[c] = c < valid ? row[c] / sum : 0;
    }
    ForwardingBackend::softmax(x, first_valid, step, scale);
    compare(expected, x);
  }

  void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale) override {
    if (!errors_.on) return ForwardingBackend::softmax_backward(p, dp, scale);
    const std::vector<double> weights = host(p);
    std::vector<double> expected = host(dp);
    double largest_term = 0;
    for (std::int64_t r = 0; r < p.rows; ++r) {
      const double* weight = weights.data() + r * p.columns;
      double* row = expected.data() + r * p.columns;
      double mean = 0;
      for (std::int64_t c = 0; c < p.columns; ++c) mean += weight[c] * row[c];
      for (std::int64_t c = 0; c < p.columns; ++c) {
        largest_term = std::max(largest_term, scale * weight[c] * (std::abs(row[c]) + std::abs(mean)));
        row[c] = scale * weight[c] * (row[c] - mean);
      }
    }
    ForwardingBackend::softmax_backward(p, dp, scale);
    // A row with one visible key has a gradient of zero, of terms that cancel out: rounding is of their size.
    const std::vector<double> found = host(dp);
    double error = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double distance = std::abs(found[i] - expected[i]);
      error = std::isfinite(distance) ? std::max(error, distance) : kInfinity;
    }
    note(error == 0 ? 0 : error / largest_term);
  }

  void copy(const MatrixView& from, const MatrixView& to) override {
    ForwardingBackend::copy(from, to);
    if (errors_.on) compare(host(from), to);
  }

  void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) override {
    if (!errors_.on) return ForwardingBackend::add(a, b, sum);
    std::vector<double> expected = host(a);
    const std::vector<double> more = host(b);
    for (std::size_t i = 0; i < more.size(); ++i) expected[i] += more[i];
    ForwardingBackend::add(a, b, sum);
    compare(expected, sum);
  }

  void set_zero(const MatrixView& x) override {
    ForwardingBackend::set_zero(x);
    if (errors_.on) compare(std::vector<double>(static_cast<std::size_t>(x.elements())), x);
  }

  // Weights and inputs are what the generator says, bit for bit.
  void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) override {
    ForwardingBackend::fill(x, key, row, column);
    if (!errors_.on) return;
    std::vector<std::byte> scratch(static_cast<std::size_t>(x.columns * size_of(x.dtype)));
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      std::vector<T> expected(static_cast<std::size_t>(x.columns));
      for (std::int64_t r = 0; r < x.rows; ++r) {
        fill_row(expected.data(), key, row + r, column, x.columns);
        const T* found = static_cast<const T*>(host_row(x, r, scratch));
        if (!std::equal(expected.begin(), expected.end(), found)) errors_.add(kInfinity);
      }
    });
    heartbeat_.beat(Activity::compute);
  }

 private:
  // Rows without their mean (of a layer norm) and with a mean square of one.
  struct Normed {
    std::size_t columns;
    std::vector<double> values, inverse;

    Normed(Norm kind, const MatrixView& x, Backend& backend)
        : columns(static_cast<std::size_t>(x.columns)), values(host_copy(x, backend)) {
      const auto count = static_cast<double>(columns);
      for (std::size_t first = 0; first < values.size(); first += columns) {
        double mean = 0, squares = 0;
        for (std::size_t i = first; kind == Norm::layer_norm && i < first + columns; ++i)
          mean += values[i] / count;
        for (std::size_t i = first; i < first + columns; ++i)
          squares += (values[i] - mean) * (values[i] - mean) / count;
        inverse.push_back(1 / std::sqrt(squares + kNormEpsilon));
        for (std::size_t i = first; i < first + columns; ++i) values[i] = (values[i] - mean) * inverse.back();
      }
    }
  };

  static MatrixView y_part(const MatrixView& wide, std::int64_t half) {
    return wide.column_slice(half * wide.columns / 2, wide.columns / 2);
  }
  std::vector<double> host(const MatrixView& x) { return host_copy(x, *this); }
  void compare(const std::vector<double>& expected, const MatrixView& found) {
    note(error_of_entries(expected, host(found)));
  }
  void note(double error) {
    errors_.add(error);
    heartbeat_.beat(Activity::compute);
  }

  OperationErrors& errors_;
  Heartbeat& heartbeat_;
};

class CheckedCommunicator final : public ForwardingCommunicator {
 public:
  CheckedCommunicator(std::unique_ptr<Communicator> inner, const Control& group, Backend& backend,
                      OperationErrors& errors, Heartbeat& heartbeat)
      : ForwardingCommunicator(std::move(inner)),
        group_(group),
        backend_(backend),
        errors_(errors),
        heartbeat_(heartbeat) {}

  void all_reduce_sum(void* data, std::int64_t count, DType dtype) override {
    if (!errors_.on) return ForwardingCommunicator::all_reduce_sum(data, count, dtype);
    SignedSums expected = sums(data, count, dtype);
    add_over_ranks(expected);
    ForwardingCommunicator::all_reduce_sum(data, count, dtype);
    compare(expected, data, count, dtype);
  }

  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    if (!errors_.on) return ForwardingCommunicator::all_gather(shard, shard_count, whole, dtype);
    const SignedSums own = sums(shard, shard_count, dtype);
    const std::size_t pieces = own.sums.size();
    SignedSums all = {std::vector<double>(pieces * static_cast<std::size_t>(size())),
                      std::vector<double>(pieces * static_cast<std::size_t>(size()))};
    const auto place = static_cast<std::ptrdiff_t>(pieces * static_cast<std::size_t>(rank()));
    std::copy(own.sums.begin(), own.sums.end(), all.sums.begin() + place);
    std::copy(own.squares.begin(), own.squares.end(), all.squares.begin() + place);
    add_over_ranks(all);
    ForwardingCommunicator::all_gather(shard, shard_count, whole, dtype);
    for (std::int64_t owner = 0; owner < size(); ++owner)
      compare(part(all, owner, pieces), offset(whole, owner * shard_count, dtype), shard_count, dtype);
  }

  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    if (!errors_.on) return ForwardingCommunicator::reduce_scatter_sum(whole, shard, shard_count, dtype);
    SignedSums all;
    for (std::int64_t owner = 0; owner < size(); ++owner) {
      const SignedSums share =
          sums(offset(const_cast<void*>(whole), owner * shard_count, dtype), shard_count, dtype);
      all.sums.insert(all.sums.end(), share.sums.begin(), share.sums.end());
      all.squares.insert(all.squares.end(), share.squares.begin(), share.squares.end());
    }
    add_over_ranks(all);
    ForwardingCommunicator::reduce_scatter_sum(whole, shard, shard_count, dtype);
    compare(part(all, rank(), all.sums.size() / static_cast<std::size_t>(size())), shard, shard_count, dtype);
  }

 private:
  static void* offset(void* data, std::int64_t elements, DType dtype) {
    return static_cast<std::byte*>(data) + elements * size_of(dtype);
  }
  static SignedSums part(const SignedSums& all, std::int64_t owner, std::size_t pieces) {
    const auto first = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(owner) * pieces);
    const auto last = first + static_cast<std::ptrdiff_t>(pieces);
    return {{all.sums.begin() + first, all.sums.begin() + last},
            {all.squares.begin() + first, all.squares.begin() + last}};
  }
  SignedSums sums(const void* data, std::int64_t count, DType dtype) {
    return signed_sums(data, count, dtype, backend_);
  }
  void add_over_ranks(SignedSums& values) const {
    group_.reduce_sum(values.sums);
    group_.reduce_sum(values.squares);
  }
  void compare(const SignedSums& expected, const void* data, std::int64_t count, DType dtype) {
    errors_.add(error_of_sums(expected.sums, sums(data, count, dtype).sums, expected.squares));
    heartbeat_.beat(Activity::exchange);
  }

  Control group_;
  Backend& backend_;
  OperationErrors& errors_;
  Heartbeat& heartbeat_;
};

}  // namespace

void OperationErrors::add(double error) {
  const double found = std::isfinite(error) ? error : kInfinity;
  double known = largest_.load();
  while (found > known && !largest_.compare_exchange_weak(known, found)) {
  }
}

std::unique_ptr<Backend> make_checked_backend(std::unique_ptr<Backend> inner, OperationErrors& errors,
                                              Heartbeat& heartbeat) {
  return std::make_unique<CheckedBackend>(std::move(inner), errors, heartbeat);
}

std::unique_ptr<Communicator> make_checked_communicator(std::unique_ptr<Communicator> inner,
                                                        const Control& group, Backend& backend,
                                                        OperationErrors& errors, Heartbeat& heartbeat) {
  return std::make_unique<CheckedCommunicator>(std::move(inner), group, backend, errors, heartbeat);
}

}  // namespace tpbench
