#include <algorithm>
#include <cmath>

#include "layers/attention_part.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

template <typename Real>
Real dot(const Real* a, const Real* b, std::int64_t count) {
  Real sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

template <typename Real>
void add_scaled(Real* out, const Real* row, Real factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += factor * row[i];
}

// Token by token and head by head: scores of the keys up to the token's own, their softmax, and the mean of
// the values so weighted.
template <typename T>
class AttentionReference final : public ReferencePart<T> {
 public:
  using typename ReferencePart<T>::Rows;
  using Real = WiderThan<T>;

  explicit AttentionReference(const ReferenceContext& context)
      : context_(context), math_(context.shape.dtype, context.backend, context.heartbeat, context.nudge) {}

  Rows forward(const Rows& x, std::span<const std::int64_t> tokens) override {
    x_ = x;
    tokens_.assign(tokens.begin(), tokens.end());
    query_ = math_.times(x, query_weights(), all_heads());
    key_ = math_.times(x, weights(TensorName::key), kv_heads());
    value_ = math_.times(x, weights(TensorName::value), kv_heads());
    context_rows_ = zero_rows<Real>(x.rows(), all_heads().size());
    const std::vector<std::size_t> starts = first_tokens_of_sequences();
    const auto sequences = static_cast<std::int64_t>(starts.size() - 1);
    math_.backend().parallel_for(
        sequences * shape().num_kv_heads, [&](std::int64_t first, std::int64_t last) {
          for (std::int64_t pair = first; pair < last; ++pair) {
            const auto sequence = static_cast<std::size_t>(pair / shape().num_kv_heads);
            attend_sequence(starts[sequence], starts[sequence + 1], pair % shape().num_kv_heads);
          }
        });
    return math_.times(context_rows_, out_weights(), {0, shape().hidden_size});
  }

  Rows backward(const Rows& dy) override {
    dy_ = dy;
    const Rows dcontext = math_.times_transposed(dy, out_weights(), all_heads());
    query_gradient_ = zero_rows<Real>(x_.rows(), query_.columns);
    key_gradient_ = zero_rows<Real>(x_.rows(), key_.columns);
    value_gradient_ = zero_rows<Real>(x_.rows(), key_.columns);
    // A thread has whole key/value heads, whose gradients are sums over tokens and query heads.
    math_.backend().parallel_for(shape().num_kv_heads, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t head = first * group(); head < last * group(); ++head) {
        for (std::size_t token = 0; token < x_.rows(); ++token) attend_backward(token, head, dcontext);
      }
    });
    Rows dx = math_.times_transposed(query_gradient_, query_weights(), {0, shape().hidden_size});
    for (const auto& [gradient, name] :
         {std::pair{&key_gradient_, TensorName::key}, std::pair{&value_gradient_, TensorName::value}}) {
      const Rows more = math_.times_transposed(*gradient, weights(name), {0, shape().hidden_size});
      for (std::size_t i = 0; i < dx.values.size(); ++i) dx.values[i] += more.values[i];
    }
    return dx;
  }

  // query, key, value, out
  ReferenceTile gradient(std::size_t index, std::span<const std::int64_t> rows,
                         Range columns) const override {
    if (index == 3) return as_tile(math_.transposed_times(context_rows_, rows, dy_, columns));
    const Rows* const gradients[] = {&query_gradient_, &key_gradient_, &value_gradient_};
    return as_tile(math_.transposed_times(x_, rows, *gradients[index], columns));
  }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] std::int64_t d() const { return shape().head_size(); }
  [[nodiscard]] std::int64_t group() const { return shape().num_heads / shape().num_kv_heads; }
  [[nodiscard]] Range all_heads() const { return {0, shape().query_width()}; }
  [[nodiscard]] Range kv_heads() const { return {0, shape().num_kv_heads * d()}; }
  [[nodiscard]] TensorKey query_weights() const {
    return query_key(context_.seed, context_.layer, shape().hidden_size);
  }
  [[nodiscard]] TensorKey weights(TensorName name) const {
    return weight_key(context_.seed, name, context_.layer, shape().hidden_size);
  }

  [[nodiscard]] TensorKey out_weights() const {
    return weight_key(context_.seed, TensorName::out, context_.layer, shape().query_width());
  }

  // Where the tokens of each sequence begin, and behind the last one.
  [[nodiscard]] std::vector<std::size_t> first_tokens_of_sequences() const {
    std::vector<std::size_t> starts;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (i == 0 || tokens_[i] / shape().sequence_length != tokens_[i - 1] / shape().sequence_length)
        starts.push_back(i);
    }
    starts.push_back(tokens_.size());
    return starts;
  }

  // Keys or values of the earlier tokens of one sequence, one head: [context, d].
  [[nodiscard]] Rows cached(TensorName name, std::int64_t sequence, std::int64_t kv_head) const {
    const std::int64_t earlier = shape().context_length;
    if (earlier == 0) return {};
    return generated_rows<T>(shape().dtype, plain_key(context_.seed, name, context_.layer),
                             all_rows({sequence * earlier, (sequence + 1) * earlier}),
                             {kv_head * d(), (kv_head + 1) * d()});
  }

  // The keys (or values) that a token may look at, oldest first.
  [[nodiscard]] std::vector<const Real*> visible(std::size_t token, std::int64_t kv_head, const Rows& earlier,
                                                 const Rows& own) const {
    const std::int64_t position = tokens_[token] % shape().sequence_length;
    std::vector<const Real*> rows;
    for (std::size_t i = 0; i < earlier.rows(); ++i) rows.push_back(earlier.row(i));
    for (std::int64_t i = position; i >= 0; --i)
      rows.push_back(own.row(token - static_cast<std::size_t>(i)) + kv_head * d());
    return rows;
  }

  [[nodiscard]] std::vector<Real> probabilities(std::size_t token, std::int64_t head,
                                                const std::vector<const Real*>& keys) const {
    const Real scale = 1 / std::sqrt(static_cast<Real>(d()));
    std::vector<Real> p;
    for (const Real* key : keys) p.push_back(scale * dot(query_.row(token) + head * d(), key, d()));
    const Real largest = *std::max_element(p.begin(), p.end());
    Real sum = 0;
    for (Real& value : p) sum += value = std::exp(value - largest);
    for (Real& value : p) value /= sum;
    return p;
  }

  // Tokens [first, last) are of one sequence.
  void attend_sequence(std::size_t first, std::size_t last, std::int64_t kv_head) {
    const std::int64_t sequence = tokens_[first] / shape().sequence_length;
    const Rows earlier_keys = cached(TensorName::cached_keys, sequence, kv_head);
    const Rows earlier_values = cached(TensorName::cached_values, sequence, kv_head);
    for (std::size_t token = first; token < last; ++token) {
      const auto keys = visible(token, kv_head, earlier_keys, key_);
      const auto values = visible(token, kv_head, earlier_values, value_);
      for (std::int64_t head = kv_head * group(); head < (kv_head + 1) * group(); ++head) {
        const auto p = probabilities(token, head, keys);
        for (std::size_t i = 0; i < p.size(); ++i)
          add_scaled(context_rows_.row(token) + head * d(), values[i], p[i], d());
      }
    }
  }

  // Only without earlier tokens: the visible rows are then those of this sequence in this pass.
  void attend_backward(std::size_t token, std::int64_t head, const Rows& dcontext) {
    const std::int64_t kv_head = head / group();
    const auto keys = visible(token, kv_head, {}, key_);
    const auto values = visible(token, kv_head, {}, value_);
    const auto p = probabilities(token, head, keys);
    const Real* dout = dcontext.row(token) + head * d();
    const std::size_t first = token + 1 - p.size();
    std::vector<Real> dp(p.size());
    Real mean = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
      dp[i] = dot(dout, values[i], d());
      mean += p[i] * dp[i];
      add_scaled(value_gradient_.row(first + i) + kv_head * d(), dout, p[i], d());
    }
    const Real scale = 1 / std::sqrt(static_cast<Real>(d()));
    for (std::size_t i = 0; i < p.size(); ++i) {
      const Real ds = scale * p[i] * (dp[i] - mean);
      add_scaled(query_gradient_.row(token) + head * d(), keys[i], ds, d());
      add_scaled(key_gradient_.row(first + i) + kv_head * d(), query_.row(token) + head * d(), ds, d());
    }
  }

  ReferenceContext context_;
  ReferenceMath<T> math_;
  std::vector<std::int64_t> tokens_;
  Rows x_, query_, key_, value_, context_rows_;
  Rows dy_, query_gradient_, key_gradient_, value_gradient_;
};

}  // namespace

template <typename T>
std::unique_ptr<ReferencePart<T>> make_attention_reference(const ReferenceContext& context) {
  return std::make_unique<AttentionReference<T>>(context);
}
template std::unique_ptr<ReferencePart<float>> make_attention_reference(const ReferenceContext&);
template std::unique_ptr<ReferencePart<double>> make_attention_reference(const ReferenceContext&);

double attention_reference_cost(const Shape& s) {
  const auto h = static_cast<double>(s.hidden_size), tokens = static_cast<double>(s.tokens);
  const auto q_width = static_cast<double>(s.query_width());
  const double kv_width = static_cast<double>(s.num_kv_heads * s.head_size());
  const double visible =
      static_cast<double>(s.context_length) + static_cast<double>(s.sequence_length + 1) / 2;
  return tokens * h * (2 * q_width + 2 * kv_width) + tokens * 2 * visible * q_width;
}

}  // namespace tpbench
