#include "naive.hpp"

#include <cmath>

#include "layers/tensors.hpp"

namespace tpbench::test {
namespace {

struct Dense {
  std::int64_t rows, columns;
  std::vector<long double> values;
  [[nodiscard]] long double at(std::int64_t r, std::int64_t c) const {
    return values[static_cast<std::size_t>(r * columns + c)];
  }
};

Dense whole_tensor(DType dtype, const TensorKey& key, std::int64_t rows, std::int64_t columns) {
  Dense dense{rows, columns, {}};
  dispatch(dtype, [&](auto zero) {
    std::vector<decltype(zero)> row(static_cast<std::size_t>(columns));
    for (std::int64_t r = 0; r < rows; ++r) {
      fill_row(row.data(), key, r, 0, columns);
      dense.values.insert(dense.values.end(), row.begin(), row.end());
    }
  });
  return dense;
}

Dense product(const Dense& a, const Dense& b) {
  Dense c{a.rows, b.columns, {}};
  for (std::int64_t i = 0; i < a.rows; ++i) {
    for (std::int64_t j = 0; j < b.columns; ++j) {
      long double sum = 0;
      for (std::int64_t k = 0; k < a.columns; ++k) sum += a.at(i, k) * b.at(k, j);
      c.values.push_back(sum);
    }
  }
  return c;
}

// The tanh form as its paper has it (arXiv 1606.08415).
long double gelu(long double x) {
  const long double root_two_over_pi = std::sqrt(2 / std::acos(-1.0L));
  return x / 2 * (1 + std::tanh(root_two_over_pi * (x + 0.044715L * x * x * x)));
}

long double silu(long double x) { return x / (1 + std::exp(-x)); }

}  // namespace

std::vector<long double> textbook_output(const Variant& variant, const Shape& s, std::uint64_t seed,
                                         std::int64_t layer) {
  const auto weight = [&](TensorName name, std::int64_t rows, std::int64_t columns) {
    return whole_tensor(s.dtype, weight_key(seed, name, layer, rows), rows, columns);
  };
  const Dense x = whole_tensor(s.dtype, input_key(seed), s.tokens, s.hidden_size);
  if (variant.workload != "mlp")
    return product(x, weight(TensorName::weight, s.hidden_size, s.hidden_size)).values;

  Dense hidden = product(x, weight(TensorName::up, s.hidden_size, s.ffn_hidden_size));
  if (variant.activation == Activation::swiglu) {
    const Dense gate = product(x, weight(TensorName::gate, s.hidden_size, s.ffn_hidden_size));
    for (std::size_t i = 0; i < hidden.values.size(); ++i) hidden.values[i] *= silu(gate.values[i]);
  } else {
    for (long double& value : hidden.values) value = gelu(value);
  }
  return product(hidden, weight(TensorName::down, s.ffn_hidden_size, s.hidden_size)).values;
}

}  // namespace tpbench::test
