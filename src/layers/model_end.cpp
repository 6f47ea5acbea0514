#include "layers/model_end.hpp"

#include "layers/norm_reference.hpp"

namespace tpbench {

ModelEnd::ModelEnd(const LayerContext& context, VocabularyTable& table)
    : context_(context),
      parameters_(context.make_matrix(Category::replicated_weights, norm_rows(shape()), shape().hidden_size)),
      normed_(context.make_matrix(Category::activations, shape().local_tokens(), shape().hidden_size)),
      head_(context, table) {
  if (shape().trains())
    parameter_gradients_ =
        context.make_shared_matrix(Category::gradients, norm_rows(shape()), shape().hidden_size);
}

void ModelEnd::fill() {
  backend().fill(parameters_.view(), plain_key(context_.seed, TensorName::norm, shape().num_layers), 0, 0);
  head_.fill();
}

void ModelEnd::forward(const MatrixView& x, Trace& trace) {
  trace.begin(Activity::compute);
  backend().norm(shape().norm, x, parameters_.view(), normed_.view());
  trace.end();
  head_.forward(normed_.view(), trace);
}

void ModelEnd::backward(const MatrixView& x, const MatrixView& dx, Trace& trace) {
  const MatrixView& dnormed = head_.backward(normed_.view(), trace);
  trace.begin(Activity::compute);
  backend().set_zero(dx);
  backend().norm_backward(shape().norm, x, parameters_.view(), dnormed, dx, parameter_gradients_.view());
  trace.end();
  sum_over_rows(context_, parameter_gradients_.view(), trace);
}

void ModelEnd::poison(Direction direction) {
  head_.poison(direction);
  backend().poison(direction == Direction::forward ? normed_.view() : parameter_gradients_.view());
}

}  // namespace tpbench
