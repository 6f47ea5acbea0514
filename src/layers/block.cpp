#include "layers/block.hpp"

#include <utility>

#include "layers/attention_part.hpp"
#include "layers/block_reference.hpp"
#include "layers/mlp_part.hpp"
#include "layers/tensors.hpp"

namespace tpbench {

BlockStack::BlockStack(const LayerContext& context, Matrix input)
    : context_(context),
      rows_(local_rows(context)),
      entry_(context),
      exit_(context),
      input_(std::move(input)) {
  parts_ = {make_attention_part(context), make_mlp_part(context)};
  if (shape().trains()) gradient_ = make_rows(Category::gradients);
  // One place for all layers, or the places of each layer's halves.
  const std::int64_t places = shape().trains() ? shape().num_layers * 2 : 1;
  for (std::int64_t i = 0; i < places; ++i) {
    stream_.push_back(make_rows(Category::activations));
    normed_.push_back(make_rows(Category::activations));
  }
  const std::int64_t rows = kHalves * norm_rows(shape());
  for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
    norms_.push_back(context.make_matrix(Category::replicated_weights, rows, shape().hidden_size));
    if (shape().trains())
      norm_gradients_.push_back(context.make_shared_matrix(Category::gradients, rows, shape().hidden_size));
  }
}

void BlockStack::fill(Heartbeat& heartbeat) {
  for (std::int64_t layer = 0; layer < shape().num_layers; ++layer)
    backend().fill(norms_[index(layer)].view(), plain_key(context_.seed, TensorName::norm, layer), 0, 0);
  for (const auto& part : parts_) part->fill(heartbeat);
}

void BlockStack::forward(std::int64_t layer, Trace& trace) {
  for (std::size_t half = 0; half < kHalves; ++half) {
    const MatrixView& x = before(layer, half);
    trace.begin(Activity::compute);
    backend().norm(shape().norm, x, norm_of(norms_, layer, half), normed(layer, half));
    trace.end();
    const MatrixView whole = entry_.gather(normed(layer, half), trace);
    trace.begin(Activity::compute);
    parts_[half]->prepare(layer, whole);
    trace.end();
    const MatrixView& sum =
        exit_.run([&](const OutputPiece& piece,
                      const MatrixView& target) { parts_[half]->project(layer, piece, target); },
                  trace);
    trace.begin(Activity::compute);
    backend().add(x, sum, after(layer, half));
    trace.end();
  }
}

// The gradient of what goes through the layers is worked on in place: each half adds its own.
void BlockStack::backward(std::int64_t layer, Trace& trace) {
  const MatrixView& gradient = gradient_.view();
  for (std::size_t half = kHalves; half-- > 0;) {
    const MatrixView dy = exit_.gather_gradient(gradient, trace);
    const MatrixView whole = entry_.gather(normed(layer, half), trace);
    trace.begin(Activity::compute);
    parts_[half]->backward(layer, whole, dy, entry_.partial_gradient());
    trace.end();
    const MatrixView& dnormed = entry_.reduce_gradient(trace);
    trace.begin(Activity::compute);
    backend().norm_backward(shape().norm, before(layer, half), norm_of(norms_, layer, half), dnormed,
                            gradient, norm_of(norm_gradients_, layer, half));
    trace.end();
    parts_[half]->sum_copied_gradients(layer, trace);
  }
  if (!shape().splits_rows()) return;
  // Each rank saw its own rows only.
  const MatrixView& norms = norm_gradients_[index(layer)].view();
  trace.begin(Activity::all_reduce, norms.elements() * shape().element_size());
  context_.communicator.all_reduce_sum(norms.data, norms.elements(), norms.dtype);
  trace.end();
}

void BlockStack::poison(std::int64_t layer, Direction direction) {
  entry_.poison(direction);
  exit_.poison(direction);
  for (const auto& part : parts_) part->poison(layer, direction);
  if (direction == Direction::forward) {
    for (std::size_t half = 0; half < kHalves; ++half) {
      backend().poison(normed(layer, half));
      if (shape().trains() || layer == 0) backend().poison(after(layer, half));
    }
  } else {
    backend().poison(norm_gradients_[index(layer)].view());
  }
}

std::vector<Result> BlockStack::gradients(std::int64_t layer) const {
  std::vector<Result> results = {{"input_gradient", gradient(), rows_.begin, 0},
                                 {"norm_gradients", norm_gradients_[index(layer)].view()}};
  for (const auto& part : parts_) {
    for (const Result& gradient : part->gradients(layer)) results.push_back(gradient);
  }
  return results;
}

// What goes into a half and comes out of it. Without backward all halves work in one place.
const MatrixView& BlockStack::after(std::int64_t layer, std::size_t half) const {
  return stream_[shape().trains() ? index(layer) * kHalves + half : 0].view();
}
const MatrixView& BlockStack::before(std::int64_t layer, std::size_t half) const {
  if (half > 0) return after(layer, half - 1);
  return layer > 0 ? after(layer - 1, kHalves - 1) : input_.view();
}
const MatrixView& BlockStack::normed(std::int64_t layer, std::size_t half) const {
  return normed_[shape().trains() ? index(layer) * kHalves + half : 0].view();
}
MatrixView BlockStack::norm_of(const std::vector<Matrix>& norms, std::int64_t layer, std::size_t half) const {
  const std::int64_t rows = norm_rows(shape());
  return norms[index(layer)].view().row_slice(static_cast<std::int64_t>(half) * rows, rows);
}

double block_reference_cost(const Shape& shape) {
  const double passes = shape.trains() ? 3 : 1;
  return passes * static_cast<double>(shape.num_layers) *
         (attention_reference_cost(shape) + mlp_reference_cost(shape));
}

namespace {

class BlockLayer final : public Layer {
 public:
  explicit BlockLayer(const LayerContext& context)
      : context_(context),
        stack_(context, context.make_matrix(Category::activations, context.shape.local_tokens(),
                                            context.shape.hidden_size)) {
    if (shape().trains())
      output_gradient_ = context.make_matrix(Category::gradients, stack_.rows().size(), shape().hidden_size);
  }

  void fill(Heartbeat& heartbeat) override {
    const std::int64_t first = stack_.rows().begin;
    backend().fill(stack_.input(), input_key(context_.seed), first, 0);
    if (shape().trains())
      backend().fill(output_gradient_.view(), output_gradient_key(context_.seed), first, 0);
    stack_.fill(heartbeat);
  }

  void forward(std::int64_t layer, Trace& trace) override { stack_.forward(layer, trace); }

  void backward(std::int64_t layer, Trace& trace) override {
    if (is_last(layer)) {
      trace.begin(Activity::compute);
      backend().copy(output_gradient_.view(), stack_.gradient());
      trace.end();
    }
    stack_.backward(layer, trace);
  }

  void poison(std::int64_t layer, Direction direction) override {
    stack_.poison(layer, direction);
    if (direction == Direction::backward && is_last(layer)) backend().poison(stack_.gradient());
  }

  std::vector<Result> results(std::int64_t layer, Direction direction) const override {
    if (direction == Direction::forward) return {{"output", stack_.output(layer), stack_.rows().begin, 0}};
    return stack_.gradients(layer);
  }

  std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                            Heartbeat& heartbeat) const override {
    return make_block_reference(context_, extent, heartbeat);
  }
  double reference_cost() const override { return block_reference_cost(shape()); }
  std::vector<std::int64_t> cheap_rows(std::int64_t limit, std::uint64_t seed) const override {
    return first_tokens(shape(), stack_.rows(), limit, seed);
  }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] bool is_last(std::int64_t layer) const { return layer == shape().num_layers - 1; }

  LayerContext context_;
  BlockStack stack_;
  Matrix output_gradient_;
};

}  // namespace

std::unique_ptr<Layer> make_block(const LayerContext& context) {
  return std::make_unique<BlockLayer>(context);
}

}  // namespace tpbench
