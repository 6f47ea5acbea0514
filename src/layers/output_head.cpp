#include "layers/output_head.hpp"

namespace tpbench {

OutputHead::OutputHead(const LayerContext& context, VocabularyTable& table)
    : context_(context), table_(table), entry_(context) {
  const std::int64_t rows = shape().logit_rows(), columns = shape().vocabulary_rows();
  const std::int64_t of_batch = shape().repeats * rows, kept = shape().kept_sets().logits * rows;
  if (shape().trains()) {
    shard_ = context.make_matrix(Category::activations, kept, columns);
    targets_.emplace(context, TensorName::targets);
    sums_ = make_numbers(kept);
    losses_ = make_numbers(of_batch);
    for (Matrix* numbers : {&maxima_, &of_targets_}) *numbers = make_numbers(rows);
  } else if (context.degree() == 1) {
    logits_ = context.make_matrix(Category::activations, of_batch, columns);
  } else {
    shard_ = context.make_shared_matrix(Category::communication, rows, columns);
    logits_ = context.make_shared_matrix(Category::activations, of_batch, shape().padded_vocabulary());
    if (rows > 1)
      gathered_ = context.make_shared_matrix(Category::communication, context.degree() * rows, columns);
  }
}

Matrix OutputHead::make_numbers(std::int64_t count) const {
  return context_.communicator.make_matrix(backend().memory(), Category::activations, shape().number_dtype(),
                                           1, count);
}

MatrixView OutputHead::shard() const {
  const std::int64_t rows = shape().logit_rows();
  return shard_.view().row_slice(static_cast<std::int64_t>(context_.logits_at()) * rows, rows);
}
MatrixView OutputHead::sums() const {
  const std::int64_t rows = shape().logit_rows();
  return sums_.view().column_slice(static_cast<std::int64_t>(context_.logits_at()) * rows, rows);
}
MatrixView OutputHead::logits(std::int64_t microbatch) const {
  const std::int64_t rows = shape().logit_rows();
  return logits_.view().row_slice(microbatch * rows, rows);
}
MatrixView OutputHead::losses(std::int64_t microbatch) const {
  const std::int64_t rows = shape().logit_rows();
  return losses_.view().column_slice(microbatch * rows, rows);
}

void OutputHead::fill() {
  if (targets_) targets_->fill();
}

// Rows of X whose logits are wanted: all, or the last of each sequence, which lie at equal distances.
MatrixView OutputHead::of_logits(const MatrixView& x) const {
  if (shape().logit_rows() == shape().tokens) return x;
  const std::int64_t s = shape().sequence_length;
  MatrixView last = x.row_slice(s - 1, 1);
  last.rows = shape().logit_rows();
  last.row_stride = s * x.row_stride;
  return last;
}

void OutputHead::forward(const MatrixView& local, Trace& trace) {
  const MatrixView x = entry_.gather(local, trace);
  const bool alone = !shape().trains() && context_.degree() == 1;
  trace.begin(Activity::compute);
  backend().gemm(of_logits(x), transposed(table_.weight()), alone ? logits(context_.microbatch()) : shard());
  trace.end();
  if (shape().trains())
    take_cross_entropy(trace);
  else if (!alone)
    gather_logits(trace);
}

// A gather puts shard after shard, so that with several rows these are in pieces, which are then copied to
// their places.
void OutputHead::gather_logits(Trace& trace) {
  const MatrixView own = shard_.view(), in_rows = logits(context_.microbatch());
  const MatrixView& all = own.rows == 1 ? in_rows : gathered_.view();
  trace.begin(Activity::all_gather, in_rows.elements() * shape().element_size());
  context_.communicator.all_gather(own.data, own.elements(), all.data, shape().dtype);
  trace.end();
  if (own.rows == 1) return;
  trace.begin(Activity::compute);
  for (std::int64_t rank = 0; rank < context_.degree(); ++rank) {
    backend().copy(all.row_slice(rank * own.rows, own.rows),
                   in_rows.column_slice(rank * own.columns, own.columns));
  }
  trace.end();
}

void OutputHead::reduce(const MatrixView& numbers, Reduction how, Trace& trace) {
  if (context_.degree() == 1) return;
  trace.begin(Activity::all_reduce, numbers.elements() * size_of(numbers.dtype));
  context_.communicator.all_reduce(numbers.data, numbers.elements(), numbers.dtype, how);
  trace.end();
}

void OutputHead::take_cross_entropy(Trace& trace) {
  const TokenIds targets = targets_->ids();
  trace.begin(Activity::compute);
  backend().row_maxima(targets, shard(), maxima_.view());
  trace.end();
  reduce(maxima_.view(), Reduction::max, trace);
  trace.begin(Activity::compute);
  backend().exponentials(targets, shard(), maxima_.view(), sums(), of_targets_.view());
  trace.end();
  reduce(sums(), Reduction::sum, trace);
  reduce(of_targets_.view(), Reduction::sum, trace);
  trace.begin(Activity::compute);
  backend().cross_entropy(sums(), of_targets_.view(), losses(context_.microbatch()));
  trace.end();
}

// dlogits where the exponentials are; dW = dlogits^T X; dX = the sum over the ranks of dlogits W
const MatrixView& OutputHead::backward(const MatrixView& local, Trace& trace) {
  const MatrixView x = entry_.gather(local, trace);
  trace.begin(Activity::compute);
  backend().cross_entropy_backward(targets_->ids(), sums(), shard());
  backend().multiply(transposed(shard()), x, table_.gradient(), context_.into_gradient());
  backend().gemm(shard(), table_.weight(), entry_.partial_gradient());
  trace.end();
  return entry_.reduce_gradient(trace);
}

void OutputHead::poison(Direction direction) {
  entry_.poison(direction);
  if (direction == Direction::backward) return;
  for (const Matrix* matrix : {&shard_, &gathered_, &logits_, &maxima_, &sums_, &of_targets_, &losses_})
    backend().poison(matrix->view());
}

Result OutputHead::output(std::string_view name, std::int64_t microbatch) const {
  const std::int64_t first = microbatch * shape().logit_rows();
  if (!shape().trains()) return {name, logits(microbatch).column_slice(0, shape().vocabulary), first};
  const MatrixView row = losses(microbatch);  // as a column: a row of results for each token
  return {name, {row.data, row.dtype, row.columns, 1, 1}, first};
}

}  // namespace tpbench
