#include "layers/block_reference.hpp"

#include <array>

#include "layers/attention_part.hpp"
#include "layers/mlp_part.hpp"
#include "layers/norm_reference.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

template <typename T>
class BlockReference final : public Reference {
 public:
  using Real = WiderThan<T>;
  using Rows = ReferenceRows<Real>;
  static constexpr std::size_t kHalves = 2;

  BlockReference(const LayerContext& context, const ReferenceExtent& extent, Heartbeat& heartbeat)
      : context_(context),
        heartbeat_(heartbeat),
        gradients_(extent.gradients),
        rows_(with_earlier_tokens(context.shape, extent.output_rows)),
        stream_(generated_rows<T>(context.shape.dtype, input_key(context.seed), rows_,
                                  {0, context.shape.hidden_size})) {}

  ReferenceTile tile(std::int64_t layer, Direction direction, std::size_t index,
                     std::span<const std::int64_t> rows, Range columns) override {
    while (static_cast<std::int64_t>(layers_done_) <= layer) forward_through();
    if (direction == Direction::forward) return tile_of(stream_, rows_, rows, columns);
    while (static_cast<std::int64_t>(layers_left_) > layer) backward_through();
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

 private:
  struct LayerState {
    std::array<std::unique_ptr<ReferencePart<T>>, kHalves> parts;
    std::vector<NormReference<Real>> norms;
  };

  [[nodiscard]] const Shape& shape() const { return context_.shape; }

  static void add(Rows& to, const Rows& more) {
    for (std::size_t i = 0; i < to.values.size(); ++i) to.values[i] += more.values[i];
  }

  void forward_through() {
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
    if (gradients_) layers_.push_back(std::move(state));
    layers_left_ = layers_done_;
  }

  void backward_through() {
    const LayerState& state = layers_[--layers_left_];
    if (layers_left_ + 1 == layers_done_) {
      stream_gradient_ = generated_rows<T>(shape().dtype, output_gradient_key(context_.seed), rows_,
                                           {0, shape().hidden_size});
    }
    std::array<Rows, kHalves> gradients;
    for (std::size_t half = kHalves; half-- > 0;) {
      const Rows dnormed = state.parts[half]->backward(stream_gradient_);
      add(stream_gradient_, state.norms[half].backward(dnormed, gradients[half]));
    }
    norm_gradients_ = std::move(gradients[0]);
    norm_gradients_.values.insert(norm_gradients_.values.end(), gradients[1].values.begin(),
                                  gradients[1].values.end());
  }

  LayerContext context_;
  Heartbeat& heartbeat_;
  bool gradients_;
  std::vector<std::int64_t> rows_;
  Rows stream_;  // behind layer layers_done_ - 1
  std::size_t layers_done_ = 0;
  std::size_t layers_left_ = 0;  // whose backward is still to come
  std::vector<LayerState> layers_;
  Rows stream_gradient_;  // before layer layers_left_
  Rows norm_gradients_;   // of layer layers_left_
};

}  // namespace

std::unique_ptr<Reference> make_block_reference(const LayerContext& context, const ReferenceExtent& extent,
                                                Heartbeat& heartbeat) {
  return dispatch_reference(context.shape.dtype, [&](auto zero) -> std::unique_ptr<Reference> {
    return std::make_unique<BlockReference<decltype(zero)>>(context, extent, heartbeat);
  });
}

double block_reference_cost(const Shape& shape) {
  const double passes = shape.trains() ? 3 : 1;
  return passes * static_cast<double>(shape.num_layers) *
         (attention_reference_cost(shape) + mlp_reference_cost(shape));
}

}  // namespace tpbench
