#include "layers/linear.hpp"

#include "layers/reference.hpp"
#include "layers/tensors.hpp"

namespace tpbench {

LinearLayer::LinearLayer(const LayerContext& context, Range in, Range out)
    : context_(context), in_(in), out_(out) {
  input_ = backend().make_matrix(Category::activations, shape().dtype, shape().tokens, in.size());
  for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
    weights_.push_back(backend().make_matrix(Category::weights, shape().dtype, in.size(), out.size()));
  }
}

void LinearLayer::fill(Heartbeat& heartbeat) {
  backend().fill(input(), input_key(context_.seed), 0, in_.begin);
  for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
    const TensorKey key = weight_key(context_.seed, TensorName::weight, layer, shape().hidden_size);
    backend().fill(weight(layer), key, in_.begin, out_.begin);
    heartbeat.beat(Activity::compute);
  }
}

ReferenceTile LinearLayer::reference(std::int64_t layer, std::span<const std::int64_t> rows,
                                     Range columns) const {
  const std::int64_t h = shape().hidden_size;
  return dispatch(shape().dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto x = generated_rows<T>(input_key(context_.seed), rows, {0, h});
    const auto y =
        times_generated<T>(x, weight_key(context_.seed, TensorName::weight, layer, h), columns, backend());
    return ReferenceTile{columns.size(), {y.values.begin(), y.values.end()}};
  });
}

double LinearLayer::reference_cost_per_row() const {
  const auto h = static_cast<double>(shape().hidden_size);
  return h * h;
}

// sum over columns c of Y[r, c] s[c] = sum over k of X[r, k] (sum over c of W[k, c] s[c])
std::vector<RowSums> LinearLayer::row_sums(std::int64_t layer) const {
  const std::int64_t h = shape().hidden_size;
  const MatrixView& local = output().local;
  const Range columns = {output().first_column, output().first_column + local.columns};
  const std::vector<double> signs = random_signs(context_.seed, h);
  const TensorKey weights = weight_key(context_.seed, TensorName::weight, layer, h);
  const auto folded = generated_times_signs(shape().dtype, weights, {0, h}, columns, signs, backend());
  RowSums sums;
  sums.expected = generated_times_signs(shape().dtype, input_key(context_.seed), {0, shape().tokens}, {0, h},
                                        folded, backend());
  sums.found =
      times_signs(local, std::span(signs).subspan(static_cast<std::size_t>(columns.begin)), backend());
  return {sums};
}

}  // namespace tpbench
