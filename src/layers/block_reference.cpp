#include "layers/block_reference.hpp"

#include <utility>

#include "layers/attention_part.hpp"
#include "layers/mlp_part.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

template <typename Rows>
void add(Rows& to, const Rows& more) {
  for (std::size_t i = 0; i < to.values.size(); ++i) to.values[i] += more.values[i];
}

}  // namespace

template <typename T>
BlockReference<T>::BlockReference(const LayerContext& context, Heartbeat& heartbeat,
                                  std::vector<std::int64_t> rows, Rows input, OutputGradient output_gradient)
    : context_(context),
      heartbeat_(heartbeat),
      rows_(std::move(rows)),
      stream_(std::move(input)),
      output_gradient_(std::move(output_gradient)) {}

template <typename T>
ReferenceTile BlockReference<T>::tile(std::int64_t layer, Direction direction, std::size_t index,
                                      std::span<const std::int64_t> rows, Range columns) {
  if (direction == Direction::forward) return tile_of(output(layer), rows_, rows, columns);
  input_gradient(layer);
  const LayerState& state = layers_[static_cast<std::size_t>(layer)];
  if (index == 0) return tile_of(stream_gradient_, rows_, rows, columns);
  if (index == 1)
    return tile_of(norm_gradients_, all_rows({0, static_cast<std::int64_t>(kHalves) * norm_rows(shape())}),
                   rows, columns);
  constexpr std::size_t kAttentionGradients = 4;
  const std::size_t gradient = index - 2;
  if (gradient < kAttentionGradients) return state.parts[0]->gradient(gradient, rows, columns);
  return state.parts[1]->gradient(gradient - kAttentionGradients, rows, columns);
}

template <typename T>
auto BlockReference<T>::output(std::int64_t layer) -> const Rows& {
  while (static_cast<std::int64_t>(layers_done_) <= layer) forward_through();
  return stream_;
}

template <typename T>
auto BlockReference<T>::input_gradient(std::int64_t layer) -> const Rows& {
  output(layer);
  while (static_cast<std::int64_t>(layers_left_) > layer) backward_through();
  return stream_gradient_;
}

template <typename T>
void BlockReference<T>::forward_through() {
  const auto layer = static_cast<std::int64_t>(layers_done_++);
  const ReferenceContext part = {shape(), context_.seed, layer, context_.backend, heartbeat_};
  LayerState state;
  state.parts = {make_attention_reference<T>(part), make_mlp_reference<T>(part)};
  const std::int64_t rows = norm_rows(shape());
  for (std::size_t half = 0; half < kHalves; ++half) {
    const auto first = static_cast<std::int64_t>(half) * rows;
    const Rows parameters =
        generated_rows<T>(shape().dtype, plain_key(context_.seed, TensorName::norm, layer),
                          all_rows({first, first + rows}), {0, shape().hidden_size});
    const NormReference<Real>& norm = state.norms.emplace_back(shape().norm, stream_, parameters);
    add(stream_, state.parts[half]->forward(norm.output(), rows_));
  }
  if (output_gradient_) layers_.push_back(std::move(state));
  layers_left_ = layers_done_;
}

template <typename T>
void BlockReference<T>::backward_through() {
  const LayerState& state = layers_[--layers_left_];
  if (layers_left_ + 1 == layers_done_) stream_gradient_ = output_gradient_(stream_);
  std::array<Rows, kHalves> gradients;
  for (std::size_t half = kHalves; half-- > 0;) {
    const Rows dnormed = state.parts[half]->backward(stream_gradient_);
    add(stream_gradient_, state.norms[half].backward(dnormed, gradients[half]));
  }
  norm_gradients_ = std::move(gradients[0]);
  norm_gradients_.values.insert(norm_gradients_.values.end(), gradients[1].values.begin(),
                                gradients[1].values.end());
}

template class BlockReference<float>;
template class BlockReference<double>;

std::unique_ptr<Reference> make_block_reference(const LayerContext& context, const ReferenceExtent& extent,
                                                Heartbeat& heartbeat) {
  return dispatch_reference(context.shape.dtype, [&](auto zero) -> std::unique_ptr<Reference> {
    using T = decltype(zero);
    using Rows = typename BlockReference<T>::Rows;
    std::vector<std::int64_t> rows = with_earlier_tokens(context.shape, extent.output_rows);
    const Range columns = {0, context.shape.hidden_size};
    Rows input = generated_rows<T>(context.shape.dtype, input_key(context.seed), rows, columns);
    typename BlockReference<T>::OutputGradient output_gradient;
    if (extent.gradients) {
      output_gradient = [context, rows, columns](const Rows&) {
        return generated_rows<T>(context.shape.dtype, output_gradient_key(context.seed), rows, columns);
      };
    }
    return std::make_unique<BlockReference<T>>(context, heartbeat, std::move(rows), std::move(input),
                                               std::move(output_gradient));
  });
}

double block_reference_cost(const Shape& shape) {
  const double passes = shape.trains() ? 3 : 1;
  return passes * static_cast<double>(shape.num_layers) *
         (attention_reference_cost(shape) + mlp_reference_cost(shape));
}

}  // namespace tpbench
