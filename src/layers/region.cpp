#include "layers/region.hpp"

namespace tpbench {

void reduce_rows(const LayerContext& context, const MatrixView& partial, const MatrixView& local,
                 Trace& trace) {
  if (context.degree() == 1) return;
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

void sum_over_rows(const LayerContext& context, const MatrixView& gradient, Trace& trace) {
  if (!context.shape.splits_rows()) return;
  trace.begin(Activity::all_reduce, gradient.elements() * context.shape.element_size());
  context.communicator.all_reduce_sum(gradient.data, gradient.elements(), gradient.dtype);
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
  for (const OutputPiece& piece : output_pieces(s)) {
    const MatrixView home =
        partial_.view().block(piece.rows.begin, piece.rows.size(), piece.columns.begin, piece.columns.size());
    MatrixView target = home;
    if (s.overlaps() && pieces_are_columns(s)) {
      columns_.push_back(context_.make_shared_matrix(Category::communication, home.rows, home.columns));
      target = columns_.back().view();
    }
    places_.push_back({piece, target, home});
  }
  if (s.overlaps())
    reducer_ = std::make_unique<BackgroundReducer>(context_.communicator, context_.backend.device());
}

const MatrixView& RegionExit::run(const Project& project, Trace& trace) {
  const OverlapForm asked = context_.form == nullptr ? OverlapForm::overlapped : *context_.form;
  switch (asked) {
    case OverlapForm::overlapped:
      if (places_.size() > 1)
        run_in_pieces(project, context_.shape.overlaps(), trace);
      else
        run_serially(project, true, trace);
      break;
    case OverlapForm::serial:
      run_serially(project, true, trace);
      break;
    case OverlapForm::compute_alone:
      run_serially(project, false, trace);
      break;
    case OverlapForm::chunked_compute_alone:
      run_in_pieces(project, false, trace);
      break;
  }
  return output();
}

void RegionExit::run_serially(const Project& project, bool communicates, Trace& trace) {
  const MatrixView& whole = partial_.view();
  trace.begin(Activity::compute);
  project({{0, whole.rows}, {0, whole.columns}}, whole);
  trace.end();
  if (communicates) reduce_rows(context_, whole, output(), trace);
}

// What is left of the sums when the last piece is computed is the part of the communication that shows.
void RegionExit::run_in_pieces(const Project& project, bool communicates, Trace& trace) {
  trace.begin(Activity::compute);
  try {
    for (const Place& place : places_) {
      project(place.piece, place.target);
      if (communicates) reducer_->start(place.target.data, place.target.elements(), place.target.dtype);
    }
  } catch (...) {
    if (communicates) reducer_->drain();
    throw;
  }
  trace.end();
  if (communicates) {
    trace.begin(Activity::all_reduce, places_.front().target.elements() * context_.shape.element_size());
    reducer_->wait();
    trace.end();
  }
  if (!columns_.empty()) bring_home(trace);
}

void RegionExit::bring_home(Trace& trace) const {
  trace.begin(Activity::compute);
  for (const Place& place : places_) context_.backend.copy(place.target, place.home);
  trace.end();
}

void RegionExit::poison(Direction direction) {
  // Backward uses the shares' place only where it gathers rows to it.
  if (direction == Direction::forward || context_.shape.splits_rows())
    context_.backend.poison(partial_.view());
  if (direction == Direction::forward) {
    context_.backend.poison(output_.view());
    for (const Matrix& piece : columns_) context_.backend.poison(piece.view());
  }
}

}  // namespace tpbench
