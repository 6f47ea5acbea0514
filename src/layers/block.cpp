#include "layers/block.hpp"

#include <array>

#include "layers/attention_part.hpp"
#include "layers/block_reference.hpp"
#include "layers/mlp_part.hpp"
#include "layers/region.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

// The two halves of a layer: what stands between a norm and a residual sum.
constexpr std::size_t kAttention = 0, kMlp = 1, kHalves = 2;

class BlockLayer final : public Layer {
 public:
  explicit BlockLayer(const LayerContext& context)
      : context_(context), rows_(local_rows(context)), entry_(context), exit_(context) {
    parts_[kAttention] = make_attention_part(context);
    parts_[kMlp] = make_mlp_part(context);
    input_ = make_rows(Category::activations);
    if (shape().trains()) {
      output_gradient_ = make_rows(Category::gradients);
      stream_gradient_ = make_rows(Category::gradients);
    }
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

  void fill(Heartbeat& heartbeat) override {
    backend().fill(input_.view(), input_key(context_.seed), rows_.begin, 0);
    if (shape().trains())
      backend().fill(output_gradient_.view(), output_gradient_key(context_.seed), rows_.begin, 0);
    for (std::int64_t layer = 0; layer < shape().num_layers; ++layer)
      backend().fill(norms_[index(layer)].view(), plain_key(context_.seed, TensorName::norm, layer), 0, 0);
    for (const auto& part : parts_) part->fill(heartbeat);
  }

  void forward(std::int64_t layer, Trace& trace) override {
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
  void backward(std::int64_t layer, Trace& trace) override {
    const MatrixView& gradient = stream_gradient_.view();
    if (layer == shape().num_layers - 1) {
      trace.begin(Activity::compute);
      backend().copy(output_gradient_.view(), gradient);
      trace.end();
    }
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

  // What another layer has left stays: the layers are chained.
  void poison(std::int64_t layer, Direction direction) override {
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
      if (layer == shape().num_layers - 1) backend().poison(stream_gradient_.view());
    }
  }

  std::vector<Result> results(std::int64_t layer, Direction direction) const override {
    if (direction == Direction::forward) return {{"output", after(layer, kMlp), rows_.begin, 0}};
    std::vector<Result> results = {{"input_gradient", stream_gradient_.view(), rows_.begin, 0},
                                   {"norm_gradients", norm_gradients_[index(layer)].view()}};
    for (const auto& part : parts_) {
      for (const Result& gradient : part->gradients(layer)) results.push_back(gradient);
    }
    return results;
  }

  std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                            Heartbeat& heartbeat) const override {
    return make_block_reference(context_, extent, heartbeat);
  }
  double reference_cost() const override {
    const double passes = shape().trains() ? 3 : 1;
    return passes * static_cast<double>(shape().num_layers) *
           (attention_reference_cost(shape()) + mlp_reference_cost(shape()));
  }
  std::vector<std::int64_t> cheap_rows(std::int64_t limit, std::uint64_t seed) const override {
    return first_tokens(shape(), rows_, limit, seed);
  }

 private:
  static std::size_t index(std::int64_t layer) { return static_cast<std::size_t>(layer); }
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] Matrix make_rows(Category category) const {
    return context_.make_matrix(category, rows_.size(), shape().hidden_size);
  }

  // What goes into a half and comes out of it. Without backward all halves work in one place.
  [[nodiscard]] const MatrixView& after(std::int64_t layer, std::size_t half) const {
    return stream_[shape().trains() ? index(layer) * kHalves + half : 0].view();
  }
  [[nodiscard]] const MatrixView& before(std::int64_t layer, std::size_t half) const {
    if (half > 0) return after(layer, half - 1);
    return layer > 0 ? after(layer - 1, kHalves - 1) : input_.view();
  }
  [[nodiscard]] const MatrixView& normed(std::int64_t layer, std::size_t half) const {
    return normed_[shape().trains() ? index(layer) * kHalves + half : 0].view();
  }
  [[nodiscard]] MatrixView norm_of(const std::vector<Matrix>& norms, std::int64_t layer,
                                   std::size_t half) const {
    const std::int64_t rows = norm_rows(shape());
    return norms[index(layer)].view().row_slice(static_cast<std::int64_t>(half) * rows, rows);
  }

  LayerContext context_;
  Range rows_;
  RegionEntry entry_;
  RegionExit exit_;
  std::array<std::unique_ptr<RegionPart>, kHalves> parts_;
  Matrix input_;
  std::vector<Matrix> stream_;
  std::vector<Matrix> normed_;
  std::vector<Matrix> norms_;  // per layer: gain (and shift) of one half after the other
  std::vector<Matrix> norm_gradients_;
  Matrix output_gradient_;
  Matrix stream_gradient_;
};

}  // namespace

std::unique_ptr<Layer> make_block(const LayerContext& context) {
  return std::make_unique<BlockLayer>(context);
}

}  // namespace tpbench
