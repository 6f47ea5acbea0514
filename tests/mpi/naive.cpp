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

// Columns [first, first + count) of rows [row, row + rows).
Dense cut(const Dense& x, std::int64_t row, std::int64_t rows, std::int64_t first, std::int64_t count) {
  Dense part{rows, count, {}};
  for (std::int64_t r = row; r < row + rows; ++r) {
    for (std::int64_t c = first; c < first + count; ++c) part.values.push_back(x.at(r, c));
  }
  return part;
}

Dense transpose(const Dense& x) {
  Dense result{x.columns, x.rows, {}};
  for (std::int64_t c = 0; c < x.columns; ++c) {
    for (std::int64_t r = 0; r < x.rows; ++r) result.values.push_back(x.at(r, c));
  }
  return result;
}

// Whole matrices of scores, the upper triangle left out.
Dense causal_softmax(const Dense& scores, long double scale) {
  Dense p = scores;
  for (std::int64_t r = 0; r < p.rows; ++r) {
    long double sum = 0;
    for (std::int64_t c = 0; c < p.columns; ++c) {
      auto& value = p.values[static_cast<std::size_t>(r * p.columns + c)];
      value = c <= r ? std::exp(scale * value) : 0;
      sum += value;
    }
    for (std::int64_t c = 0; c < p.columns; ++c) p.values[static_cast<std::size_t>(r * p.columns + c)] /= sum;
  }
  return p;
}

std::vector<long double> textbook_attention(const Shape& s, std::uint64_t seed, std::int64_t layer,
                                            const Dense& x) {
  const std::int64_t h = s.hidden_size, d = s.head_size(), width = s.query_width(), kv = s.num_kv_heads * d;
  const auto weight = [&](TensorName name, std::int64_t columns) {
    return whole_tensor(s.dtype, weight_key(seed, name, layer, h), h, columns);
  };
  const Dense q = product(x, whole_tensor(s.dtype, query_key(seed, layer, h), h, width));
  const Dense k = product(x, weight(TensorName::key, kv)), v = product(x, weight(TensorName::value, kv));
  Dense context{s.tokens, width, std::vector<long double>(static_cast<std::size_t>(s.tokens * width))};
  for (std::int64_t first = 0; first < s.tokens; first += s.sequence_length) {
    for (std::int64_t head = 0; head < s.num_heads; ++head) {
      const std::int64_t kv_head = head / (s.num_heads / s.num_kv_heads);
      const auto part = [&](const Dense& whole, std::int64_t at) {
        return cut(whole, first, s.sequence_length, at * d, d);
      };
      const Dense p = causal_softmax(product(part(q, head), transpose(part(k, kv_head))),
                                     1 / std::sqrt(static_cast<long double>(d)));
      const Dense mixed = product(p, part(v, kv_head));
      for (std::int64_t r = 0; r < mixed.rows; ++r) {
        for (std::int64_t c = 0; c < d; ++c)
          context.values[static_cast<std::size_t>((first + r) * width + head * d + c)] = mixed.at(r, c);
      }
    }
  }
  const Dense out = whole_tensor(s.dtype, weight_key(seed, TensorName::out, layer, width), width, h);
  return product(context, out).values;
}

// Logits, or the loss of each token as a course writes it: -log softmax(logits)[target].
std::vector<long double> textbook_head(const Shape& s, std::uint64_t seed, const Dense& x) {
  const Dense weight = whole_tensor(s.dtype, head_key(seed, s), s.vocabulary, s.hidden_size);
  const Dense logits = product(x, transpose(weight));
  const std::vector<std::int64_t> targets = generated_ids(seed, TensorName::targets, s);
  std::vector<long double> result;
  for (std::int64_t r = 0; r < s.tokens; ++r) {
    if (s.trains()) {
      long double sum = 0;
      for (std::int64_t id = 0; id < s.vocabulary; ++id) sum += std::exp(logits.at(r, id));
      result.push_back(-std::log(std::exp(logits.at(r, targets[static_cast<std::size_t>(r)])) / sum));
    } else if (s.logits == Logits::all || r % s.sequence_length == s.sequence_length - 1) {
      for (std::int64_t id = 0; id < s.vocabulary; ++id) result.push_back(logits.at(r, id));
    }
  }
  return result;
}

std::vector<long double> textbook_embedding(const Shape& s, std::uint64_t seed) {
  const Dense table = whole_tensor(s.dtype, embedding_key(seed, s), s.vocabulary, s.hidden_size);
  std::vector<long double> result;
  for (const std::int64_t id : generated_ids(seed, TensorName::token_ids, s)) {
    for (std::int64_t c = 0; c < s.hidden_size; ++c) result.push_back(table.at(id, c));
  }
  return result;
}

}  // namespace

std::vector<long double> textbook_output(const Variant& variant, const Shape& s, std::uint64_t seed,
                                         std::int64_t layer) {
  const auto weight = [&](TensorName name, std::int64_t rows, std::int64_t columns) {
    return whole_tensor(s.dtype, weight_key(seed, name, layer, rows), rows, columns);
  };
  const Dense x = whole_tensor(s.dtype, input_key(seed), s.tokens, s.hidden_size);
  if (variant.workload == "embedding") return textbook_embedding(s, seed);
  if (variant.workload == "lm_head") return textbook_head(s, seed, x);
  if (variant.workload == "attention") return textbook_attention(s, seed, layer, x);
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
