#include "layers/linear.hpp"

#include "layers/reference.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

TensorKey linear_key(const LayerContext& context, std::int64_t layer) {
  return weight_key(context.seed, TensorName::weight, layer, context.shape.hidden_size);
}

// Every row of every result can be had alone, so that nothing is kept.
template <typename T>
class LinearReference final : public Reference {
 public:
  LinearReference(const LayerContext& context, Heartbeat& heartbeat)
      : context_(context), math_(context.shape.dtype, context.backend, heartbeat) {}

  ReferenceTile tile(std::int64_t layer, Direction direction, std::size_t index,
                     std::span<const std::int64_t> rows, Range columns) override {
    const Range tokens = {0, context_.shape.tokens};
    const TensorKey x = input_key(context_.seed), dy = output_gradient_key(context_.seed);
    if (direction == Direction::forward)
      return as_tile(math_.times(generated(x, rows), linear_key(context_, layer), columns));
    if (index == 0)
      return as_tile(math_.times_transposed(generated(dy, rows), linear_key(context_, layer), columns));
    // Rows of dW are columns of X.
    const std::vector<std::int64_t> every_token = all_rows(tokens);
    return as_tile(
        math_.transposed_times(generated(x, every_token), rows, generated(dy, every_token), columns));
  }

 private:
  // Whole rows.
  [[nodiscard]] auto generated(const TensorKey& key, std::span<const std::int64_t> rows) const {
    return generated_rows<T>(context_.shape.dtype, key, rows, {0, context_.shape.hidden_size});
  }

  LayerContext context_;
  ReferenceMath<T> math_;
};

}  // namespace

LinearLayer::LinearLayer(const LayerContext& context, Range rows, Range in, Range out)
    : SetLayer(context.shape), context_(context), rows_(rows), in_(in), out_(out) {
  input_ = context_.make_matrix(Category::activations, rows.size(), in.size());
  for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
    weights_.push_back(context_.make_matrix(Category::weights, in.size(), out.size()));
    if (shape().trains())
      weight_gradients_.push_back(context_.make_matrix(Category::gradients, in.size(), out.size()));
  }
}

void LinearLayer::make_output_gradient(Range rows, Range columns) {
  if (!shape().trains()) return;
  gradient_rows_ = rows;
  gradient_columns_ = columns;
  output_gradient_ = context_.make_matrix(Category::gradients, rows.size(), columns.size());
}

void LinearLayer::fill(Heartbeat& heartbeat) {
  backend().fill(input(), input_key(context_.seed), rows_.begin, in_.begin);
  if (shape().trains())
    backend().fill(output_gradient(), output_gradient_key(context_.seed), gradient_rows_.begin,
                   gradient_columns_.begin);
  for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
    backend().fill(weight(layer), linear_key(context_, layer), in_.begin, out_.begin);
    heartbeat.beat(Activity::compute);
  }
}

void LinearLayer::poison(std::int64_t layer, Direction direction) {
  if (direction == Direction::backward) backend().poison(weight_gradient(layer));
}

std::vector<Result> LinearLayer::results(std::int64_t layer, Direction direction) const {
  if (direction == Direction::forward) return {output()};
  return {{"input_gradient", input_gradient(), rows_.begin, in_.begin},
          {"weight_gradient", weight_gradient(layer), in_.begin, out_.begin}};
}

std::unique_ptr<Reference> LinearLayer::make_reference(const ReferenceExtent&, Heartbeat& heartbeat) const {
  return dispatch_reference(shape().dtype, [&](auto zero) -> std::unique_ptr<Reference> {
    return std::make_unique<LinearReference<decltype(zero)>>(context_, heartbeat);
  });
}

double LinearLayer::reference_cost() const {
  const auto h = static_cast<double>(shape().hidden_size);
  const double products = shape().trains() ? 3 : 1;
  return products * static_cast<double>(shape().tokens * shape().num_layers) * h * h;
}

}  // namespace tpbench
