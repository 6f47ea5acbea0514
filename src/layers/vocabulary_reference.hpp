#pragma once

#include <cmath>
#include <map>
#include <span>
#include <vector>

#include "layers/reference_part.hpp"
#include "layers/tensors.hpp"

namespace tpbench {

/// The rows of an embedding that tokens `tokens` have, unsharded.
template <typename T>
ReferenceRows<WiderThan<T>> embedded_rows(DType dtype, const TensorKey& key,
                                          std::span<const std::int64_t> ids,
                                          std::span<const std::int64_t> tokens, Range columns) {
  std::vector<std::int64_t> rows;
  for (const std::int64_t token : tokens) rows.push_back(ids[static_cast<std::size_t>(token)]);
  return generated_rows<T>(dtype, key, rows, columns);
}

/// Rows `rows` of its gradient, from that of all tokens' rows.
template <typename Real>
ReferenceRows<Real> embedding_gradient(const ReferenceRows<Real>& dy, std::span<const std::int64_t> ids,
                                       std::span<const std::int64_t> rows, Range columns) {
  std::map<std::int64_t, std::vector<std::size_t>> tokens_of;
  for (std::size_t token = 0; token < ids.size(); ++token) tokens_of[ids[token]].push_back(token);
  auto gradient = zero_rows<Real>(rows.size(), columns.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (const std::size_t token : tokens_of[rows[r]]) {
      for (std::int64_t c = 0; c < columns.size(); ++c)
        gradient.row(r)[c] += dy.row(token)[columns.begin + c];
    }
  }
  return gradient;
}

/// Entries of the embedding and its gradient that one rank is compared in: copies, not multiply-adds.
inline double embedding_reference_cost(const Shape& s) {
  const auto h = static_cast<double>(s.hidden_size);
  const auto rows = static_cast<double>(s.trains() ? s.tokens + s.vocabulary_rows() : s.local_tokens());
  return rows * h;
}

/// The output head and the cross-entropy of its logits, unsharded.
template <typename T>
class HeadReference {
 public:
  using Real = WiderThan<T>;
  using Rows = ReferenceRows<Real>;

  HeadReference(const LayerContext& context, Heartbeat& heartbeat)
      : context_(context),
        math_(context.shape.dtype, context.backend, heartbeat),
        targets_(generated_ids(context.seed, TensorName::targets, context.shape)) {}

  /// Columns `columns` of the logits of x [rows, h].
  Rows logits(const Rows& x, Range columns) const { return math_.times_transposed(x, key(), columns); }

  /// [rows, 1], of x whose rows are those of `tokens`.
  Rows losses(const Rows& x, std::span<const std::int64_t> tokens) {
    x_ = x;
    gradient_ = logits(x, whole());
    Rows losses = zero_rows<Real>(x.rows(), 1);
    for (std::size_t r = 0; r < x.rows(); ++r) {
      Real* row = gradient_.row(r);
      const std::int64_t target = targets_[static_cast<std::size_t>(tokens[r])];
      const Real largest = *std::max_element(row, row + whole().size());
      const Real of_target = row[target] - largest;
      Real sum = 0;
      for (std::int64_t c = 0; c < whole().size(); ++c) sum += row[c] = std::exp(row[c] - largest);
      for (std::int64_t c = 0; c < whole().size(); ++c) row[c] /= sum;
      row[target] -= 1;
      losses.row(r)[0] = std::log(sum) - of_target;
    }
    return losses;
  }

  /// The gradient of x, after `losses` of all tokens.
  Rows backward() const { return math_.times(gradient_, key(), {0, context_.shape.hidden_size}); }
  /// Rows `rows` of the weight's gradient.
  Rows weight_gradient(std::span<const std::int64_t> rows, Range columns) const {
    return math_.transposed_times(gradient_, rows, x_, columns);
  }

 private:
  [[nodiscard]] TensorKey key() const { return head_key(context_.seed, context_.shape); }
  [[nodiscard]] Range whole() const { return {0, context_.shape.vocabulary}; }

  LayerContext context_;
  ReferenceMath<T> math_;
  std::vector<std::int64_t> targets_;
  Rows x_;
  Rows gradient_;  // of the logits
};

/// Multiply-adds of the above.
inline double head_reference_cost(const Shape& s) {
  return (s.trains() ? 3.0 : 1.0) * static_cast<double>(s.logit_rows()) * static_cast<double>(s.hidden_size) *
         static_cast<double>(s.vocabulary);
}

/// The tokens whose logits are rows `rows`: those themselves, or the last of each sequence.
inline std::vector<std::int64_t> tokens_of_logits(const Shape& s, std::span<const std::int64_t> rows) {
  std::vector<std::int64_t> tokens(rows.begin(), rows.end());
  if (s.logit_rows() == s.tokens) return tokens;
  for (std::int64_t& token : tokens) token = token * s.sequence_length + s.sequence_length - 1;
  return tokens;
}

}  // namespace tpbench
