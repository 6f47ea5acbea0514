#include "layers/region_layer.hpp"

#include "layers/attention_part.hpp"
#include "layers/mlp_part.hpp"
#include "layers/region.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

// What is special to one kind of region.
struct Mlp {
  static constexpr bool kLooksBack = false;  // at earlier tokens
  static constexpr auto make_part = make_mlp_part;
  static constexpr auto reference_cost = mlp_reference_cost;
  template <typename T>
  static auto make_reference(const ReferenceContext& context) {
    return make_mlp_reference<T>(context);
  }
};

struct Attention {
  static constexpr bool kLooksBack = true;
  static constexpr auto make_part = make_attention_part;
  static constexpr auto reference_cost = attention_reference_cost;
  template <typename T>
  static auto make_reference(const ReferenceContext& context) {
    return make_attention_reference<T>(context);
  }
};

// X and the output gradient are generated; everything of one weight set is kept until another is asked for.
template <typename Kind, typename T>
class RegionReference final : public Reference {
 public:
  using Rows = ReferenceRows<WiderThan<T>>;

  RegionReference(const LayerContext& context, const ReferenceExtent& extent, Heartbeat& heartbeat)
      : context_(context),
        heartbeat_(heartbeat),
        rows_(Kind::kLooksBack ? with_earlier_tokens(context.shape, extent.output_rows)
                               : extent.output_rows) {}

  ReferenceTile tile(std::int64_t layer, Direction direction, std::size_t index,
                     std::span<const std::int64_t> rows, Range columns) override {
    if (layer != layer_) compute_forward(layer);
    if (direction == Direction::forward) return tile_of(output_, rows_, rows, columns);
    if (input_gradient_.columns == 0)
      input_gradient_ = part_->backward(generated(output_gradient_key(context_.seed)));
    if (index == 0) return tile_of(input_gradient_, rows_, rows, columns);
    return part_->gradient(index - 1, rows, columns);
  }

 private:
  void compute_forward(std::int64_t layer) {
    part_ = Kind::template make_reference<T>(
        {context_.shape, context_.seed, layer, context_.backend, heartbeat_});
    output_ = part_->forward(generated(input_key(context_.seed)), rows_);
    input_gradient_ = {};
    layer_ = layer;
  }
  [[nodiscard]] Rows generated(const TensorKey& key) const {
    return generated_rows<T>(context_.shape.dtype, key, rows_, {0, context_.shape.hidden_size});
  }

  LayerContext context_;
  Heartbeat& heartbeat_;
  std::vector<std::int64_t> rows_;
  std::int64_t layer_ = -1;
  std::unique_ptr<ReferencePart<T>> part_;  // of layer_
  Rows output_;
  Rows input_gradient_;
};

template <typename Kind>
class RegionLayer final : public SetLayer {
 public:
  explicit RegionLayer(const LayerContext& context)
      : SetLayer(context.shape),
        context_(context),
        rows_(local_rows(context)),
        input_(context.make_matrix(Category::activations, rows_.size(), shape().hidden_size)),
        entry_(context),
        part_(Kind::make_part(context)),
        exit_(context) {
    if (shape().trains())
      output_gradient_ = context.make_matrix(Category::gradients, rows_.size(), shape().hidden_size);
  }

  void fill(Heartbeat& heartbeat) override {
    context_.backend.fill(input_.view(), input_key(context_.seed), rows_.begin, 0);
    if (shape().trains())
      context_.backend.fill(output_gradient_.view(), output_gradient_key(context_.seed), rows_.begin, 0);
    part_->fill(heartbeat);
  }

  void forward(std::int64_t layer, Trace& trace) override {
    const MatrixView x = entry_.gather(input_.view(), trace);
    trace.begin(Activity::compute);
    part_->prepare(layer, x);
    trace.end();
    exit_.run(
        [&](const OutputPiece& piece, const MatrixView& target) { part_->project(layer, piece, target); },
        trace);
  }

  void backward(std::int64_t layer, Trace& trace) override {
    const MatrixView dy = exit_.gather_gradient(output_gradient_.view(), trace);
    const MatrixView x = entry_.gather(input_.view(), trace);
    trace.begin(Activity::compute);
    part_->backward(layer, x, dy, entry_.partial_gradient());
    trace.end();
    entry_.reduce_gradient(trace);
    part_->sum_copied_gradients(layer, trace);
  }

  void poison(std::int64_t layer, Direction direction) override {
    entry_.poison(direction);
    part_->poison(layer, direction);
    exit_.poison(direction);
  }

  std::vector<Result> results(std::int64_t layer, Direction direction) const override {
    if (direction == Direction::forward) return {{"output", exit_.output(), rows_.begin, 0}};
    std::vector<Result> results = {{"input_gradient", entry_.gradient(), rows_.begin, 0}};
    for (const Result& gradient : part_->gradients(layer)) results.push_back(gradient);
    return results;
  }

  std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                            Heartbeat& heartbeat) const override {
    return dispatch_reference(shape().dtype, [&](auto zero) -> std::unique_ptr<Reference> {
      return std::make_unique<RegionReference<Kind, decltype(zero)>>(context_, extent, heartbeat);
    });
  }
  double reference_cost() const override {
    const double passes = shape().trains() ? 3 : 1;
    return passes * Kind::reference_cost(shape()) * static_cast<double>(shape().num_layers);
  }
  std::vector<std::int64_t> cheap_rows(std::int64_t limit, std::uint64_t seed) const override {
    return Kind::kLooksBack ? first_tokens(shape(), rows_, limit, seed) : SetLayer::cheap_rows(limit, seed);
  }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }

  LayerContext context_;
  Range rows_;
  Matrix input_;
  Matrix output_gradient_;
  RegionEntry entry_;
  std::unique_ptr<RegionPart> part_;
  RegionExit exit_;
};

}  // namespace

std::unique_ptr<Layer> make_mlp(const LayerContext& context) {
  return std::make_unique<RegionLayer<Mlp>>(context);
}
std::unique_ptr<Layer> make_attention(const LayerContext& context) {
  return std::make_unique<RegionLayer<Attention>>(context);
}

}  // namespace tpbench
