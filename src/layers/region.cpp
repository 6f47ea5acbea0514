#include "layers/region.hpp"

namespace tpbench {

void reduce_rows(const LayerContext& context, const MatrixView& partial, const MatrixView& local,
                 Trace& trace) {
  if (context.communicator.size() == 1) return;
  const std::int64_t bytes = partial.elements() * context.shape.element_size();
  if (context.shape.splits_rows()) {
    trace.begin(Activity::reduce_scatter, bytes);
    context.communicator.reduce_scatter_sum(partial.data, local.data, local.elements(), partial.dtype);
  } else {
    trace.begin(Activity::all_reduce, bytes);
    context.communicator.all_reduce_sum(partial.data, partial.elements(), partial.dtype);
  }
  trace.end();
}

MatrixView gather_rows(const LayerContext& context, const MatrixView& local, const MatrixView& whole,
                       Trace& trace) {
  if (!context.shape.splits_rows()) return local;
  trace.begin(Activity::all_gather, whole.elements() * context.shape.element_size());
  context.communicator.all_gather(local.data, local.elements(), whole.data, whole.dtype);
  trace.end();
  return whole;
}

Range local_rows(const LayerContext& context) {
  const std::int64_t rows = context.shape.local_tokens();
  const std::int64_t first = context.shape.splits_rows() ? context.communicator.rank() * rows : 0;
  return {first, first + rows};
}

RegionEntry::RegionEntry(const LayerContext& context) : context_(context) {
  const Shape& s = context_.shape;
  if (s.splits_rows()) whole_ = context_.make_shared_matrix(Category::communication, s.tokens, s.hidden_size);
  if (!s.trains()) return;
  partial_gradient_ = context_.make_shared_matrix(
      s.splits_rows() ? Category::communication : Category::gradients, s.tokens, s.hidden_size);
  if (s.splits_rows()) gradient_ = context_.make_matrix(Category::gradients, s.local_tokens(), s.hidden_size);
}

const MatrixView& RegionEntry::reduce_gradient(Trace& trace) {
  reduce_rows(context_, partial_gradient_.view(), gradient(), trace);
  return gradient();
}

void RegionEntry::poison(Direction direction) {
  context_.backend.poison(whole_.view());
  if (direction == Direction::forward) return;
  context_.backend.poison(partial_gradient_.view());
  context_.backend.poison(gradient_.view());
}

RegionExit::RegionExit(const LayerContext& context) : context_(context) {
  const Shape& s = context_.shape;
  partial_ = context_.make_shared_matrix(s.splits_rows() ? Category::communication : Category::activations,
                                         s.tokens, s.hidden_size);
  if (s.splits_rows()) output_ = context_.make_matrix(Category::activations, s.local_tokens(), s.hidden_size);
}

const MatrixView& RegionExit::reduce(Trace& trace) {
  reduce_rows(context_, partial_.view(), output(), trace);
  return output();
}

void RegionExit::poison(Direction direction) {
  // Backward uses the shares' place only where it gathers rows to it.
  if (direction == Direction::forward || context_.shape.splits_rows())
    context_.backend.poison(partial_.view());
  if (direction == Direction::forward) context_.backend.poison(output_.view());
}

}  // namespace tpbench
