#include "layers/block_sets.hpp"

#include "layers/attention_part.hpp"
#include "layers/block_reference.hpp"
#include "layers/mlp_part.hpp"
#include "layers/tensors.hpp"

namespace tpbench {

BlockSets::BlockSets(const LayerContext& context) : context_(context), entry_(context), exit_(context) {
  parts_[kAttention] = make_attention_part(context);
  parts_[kMlp] = make_mlp_part(context);
  const KeptSets kept = shape().kept_sets();
  const std::int64_t halves = shape().trains() ? kHalves : 1;
  for (std::int64_t i = 0; i < kept.activations * halves; ++i)
    stream_.push_back(make_rows(Category::activations));
  for (std::int64_t i = 0; i < kept.inputs * halves; ++i) normed_.push_back(make_rows(Category::activations));
  const std::int64_t rows = norm_rows(shape());
  for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
    norms_.push_back(context.make_matrix(Category::replicated_weights, kHalves * rows, shape().hidden_size));
    if (shape().trains())
      norm_gradients_.push_back(
          context.make_shared_matrix(Category::gradients, kHalves * rows, shape().hidden_size));
  }
  if (!shape().trains()) return;
  if (context.stage != nullptr)
    norm_gradient_ = context.make_matrix(Category::gradients, rows, shape().hidden_size);
  for (std::int64_t i = 0; i < kept.gradients * halves; ++i)
    output_gradients_.push_back(
        context.make_matrix(Category::gradients, shape().tokens, shape().hidden_size));
}

Matrix BlockSets::make_rows(Category category) const {
  return context_.make_matrix(category, shape().local_tokens(), shape().hidden_size);
}

void BlockSets::fill(Heartbeat& heartbeat) {
  for (std::int64_t layer = 0; layer < shape().num_layers; ++layer)
    backend().fill(norms_[index(layer)].view(),
                   plain_key(context_.seed, TensorName::norm, context_.whole_layer(layer)), 0, 0);
  for (const auto& part : parts_) part->fill(heartbeat);
}

void BlockSets::forward(std::int64_t layer, const MatrixView& x, const MatrixView& output, Trace& trace) {
  for (std::size_t half = 0; half < kHalves; ++half) {
    const MatrixView& before = half == 0 ? x : stream(layer, half - 1);
    trace.begin(Activity::compute);
    backend().norm(shape().norm, before, norm_of(norms_, layer, half), normed(layer, half));
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
    backend().add(before, sum, half == kMlp ? output : stream(layer, half));
    trace.end();
  }
}

// The gradient of what goes through the layers is worked on in place: each half adds its own.
void BlockSets::backward(std::int64_t layer, const MatrixView& x, const MatrixView& gradient, Trace& trace) {
  for (std::size_t half = kHalves; half-- > 0;) {
    const MatrixView dy = exit_.gather_gradient(gradient, trace);
    const MatrixView whole = entry_.gather(normed(layer, half), trace);
    trace.begin(Activity::compute);
    parts_[half]->backward(layer, whole, dy, entry_.partial_gradient());
    trace.end();
    const MatrixView& dnormed = entry_.reduce_gradient(trace);
    trace.begin(Activity::compute);
    norm_backward(layer, half, x, dnormed, gradient);
    trace.end();
  }
}

void BlockSets::input_gradient(std::int64_t layer, const MatrixView& x, const MatrixView& gradient,
                               Trace& trace) {
  for (std::size_t half = kHalves; half-- > 0;) {
    const MatrixView dy = exit_.gather_gradient(gradient, trace);
    trace.begin(Activity::compute);
    backend().copy(dy, kept_gradient(layer, half));
    parts_[half]->input_gradient(layer, dy, entry_.partial_gradient());
    trace.end();
    const MatrixView& dnormed = entry_.reduce_gradient(trace);
    trace.begin(Activity::compute);
    norm_backward(layer, half, x, dnormed, gradient);
    trace.end();
  }
}

void BlockSets::weight_gradients(std::int64_t layer, Trace& trace) {
  for (std::size_t half = kHalves; half-- > 0;) {
    const MatrixView whole = entry_.gather(normed(layer, half), trace);
    trace.begin(Activity::compute);
    parts_[half]->weight_gradients(layer, whole, kept_gradient(layer, half));
    trace.end();
  }
}

void BlockSets::norm_backward(std::int64_t layer, std::size_t half, const MatrixView& x,
                              const MatrixView& dnormed, const MatrixView& gradient) {
  const MatrixView& before = half == 0 ? x : stream(layer, half - 1);
  const MatrixView sum = norm_of(norm_gradients_, layer, half);
  const bool adds = context_.into_gradient() == Store::add;
  const MatrixView& target = adds ? norm_gradient_.view() : sum;
  backend().norm_backward(shape().norm, before, norm_of(norms_, layer, half), dnormed, gradient, target);
  if (adds) backend().add(sum, target, sum);
}

void BlockSets::sum_gradients(std::int64_t layer, Trace& trace) {
  for (std::size_t half = kHalves; half-- > 0;) parts_[half]->sum_copied_gradients(layer, trace);
  sum_over_rows(context_, norm_gradients_[index(layer)].view(), trace);
}

void BlockSets::poison(std::int64_t layer, Direction direction) {
  entry_.poison(direction);
  exit_.poison(direction);
  for (const auto& part : parts_) part->poison(layer, direction);
  if (direction == Direction::backward) {
    backend().poison(norm_gradients_[index(layer)].view());
    backend().poison(norm_gradient_.view());
    for (const Matrix& kept : output_gradients_) backend().poison(kept.view());
    return;
  }
  for (std::size_t half = 0; half < kHalves; ++half) {
    backend().poison(normed(layer, half));
    if (shape().trains() || layer == 0) backend().poison(stream(layer, half));
  }
}

std::vector<Result> BlockSets::gradients(std::int64_t layer) const {
  std::vector<Result> results = {{"norm_gradients", norm_gradients_[index(layer)].view()}};
  for (const auto& part : parts_) {
    for (const Result& gradient : part->gradients(layer)) results.push_back(gradient);
  }
  return results;
}

const MatrixView& BlockSets::stream(std::int64_t layer, std::size_t half) const {
  if (shape().trains()) return stream_[context_.activations_at(layer) * kHalves + half].view();
  return stream_[context_.stage == nullptr ? 0 : index(context_.stage->activations)].view();
}

MatrixView BlockSets::norm_of(const std::vector<Matrix>& norms, std::int64_t layer, std::size_t half) const {
  const std::int64_t rows = norm_rows(shape());
  return norms[index(layer)].view().row_slice(static_cast<std::int64_t>(half) * rows, rows);
}

}  // namespace tpbench
