#include "layers/model_end.hpp"

#include "layers/norm_reference.hpp"

namespace tpbench {

ModelEnd::ModelEnd(const LayerContext& context, VocabularyTable& table, std::int64_t layers)
    : context_(context),
      layers_(layers),
      parameters_(context.make_matrix(Category::replicated_weights, norm_rows(shape()), shape().hidden_size)),
      normed_(context.make_matrix(Category::activations, shape().kept_sets().logits * shape().local_tokens(),
                                  shape().hidden_size)),
      head_(context, table) {
  if (!shape().trains()) return;
  parameter_gradients_ =
      context.make_shared_matrix(Category::gradients, norm_rows(shape()), shape().hidden_size);
  if (context.stage != nullptr)
    parameter_gradient_ = context.make_matrix(Category::gradients, norm_rows(shape()), shape().hidden_size);
}

MatrixView ModelEnd::normed() const {
  const std::int64_t rows = shape().local_tokens();
  return normed_.view().row_slice(static_cast<std::int64_t>(context_.logits_at()) * rows, rows);
}

void ModelEnd::fill() {
  backend().fill(parameters_.view(), plain_key(context_.seed, TensorName::norm, layers_), 0, 0);
  head_.fill();
}

void ModelEnd::forward(const MatrixView& x, Trace& trace) {
  trace.begin(Activity::compute);
  backend().norm(shape().norm, x, parameters_.view(), normed());
  trace.end();
  head_.forward(normed(), trace);
}

void ModelEnd::backward(const MatrixView& x, const MatrixView& dx, Trace& trace) {
  const MatrixView& dnormed = head_.backward(normed(), trace);
  trace.begin(Activity::compute);
  backend().set_zero(dx);
  const bool adds = context_.into_gradient() == Store::add;
  const MatrixView &sum = parameter_gradients_.view(), &target = adds ? parameter_gradient_.view() : sum;
  backend().norm_backward(shape().norm, x, parameters_.view(), dnormed, dx, target);
  if (adds) backend().add(sum, target, sum);
  trace.end();
}

void ModelEnd::sum_gradients(Trace& trace) { sum_over_rows(context_, parameter_gradients_.view(), trace); }

void ModelEnd::poison(Direction direction) {
  head_.poison(direction);
  if (direction == Direction::forward) return backend().poison(normed_.view());
  for (const Matrix* gradients : {&parameter_gradients_, &parameter_gradient_})
    backend().poison(gradients->view());
}

}  // namespace tpbench
