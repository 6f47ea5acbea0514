#pragma once

#include "comm/background_reducer.hpp"
#include "layers/layer.hpp"
#include "workload/pieces.hpp"

namespace tpbench {

/// Sums `partial` [T, h] over the ranks: by an all-reduce in place, and `local` is `partial`; or, where rows
/// are split, by a reduce-scatter that leaves this rank's rows in `local` [T/t, h].
void reduce_rows(const LayerContext& context, const MatrixView& partial, const MatrixView& local,
                 Trace& trace);

/// All rows [T, h] of which every rank has some: gathered into `whole` where rows are split, `local` itself
/// where they are not. Returns where they are.
MatrixView gather_rows(const LayerContext& context, const MatrixView& local, const MatrixView& whole,
                       Trace& trace);

/// Where rows are split: sums a gradient of parameters that every rank holds, of which each saw its own rows
/// only. Nothing where they are not.
void sum_over_rows(const LayerContext& context, const MatrixView& gradient, Trace& trace);

/// The rows of a [T, h] tensor that this rank holds outside of sharded layers.
Range local_rows(const LayerContext& context);

/// Where a region begins whose weights are split by columns: Megatron's operator f (arXiv 1909.08053, figure
/// 3), forward the identity and backward an all-reduce; where rows are split g (arXiv 2205.05198, figure 5),
/// forward an all-gather and backward a reduce-scatter.
class RegionEntry {
 public:
  explicit RegionEntry(const LayerContext& context);

  /// X [T, h] on every rank, from the rows that each holds.
  MatrixView gather(const MatrixView& local, Trace& trace) {
    return gather_rows(context_, local, whole_.view(), trace);
  }
  /// Where backward puts this rank's share of the input gradient, [T, h].
  [[nodiscard]] const MatrixView& partial_gradient() const { return partial_gradient_.view(); }
  /// Sums the shares; returns the rows that this rank holds.
  const MatrixView& reduce_gradient(Trace& trace);
  [[nodiscard]] const MatrixView& gradient() const {
    return context_.shape.splits_rows() ? gradient_.view() : partial_gradient_.view();
  }
  void poison(Direction direction);

 private:
  LayerContext context_;
  Matrix whole_;             // where rows are split
  Matrix partial_gradient_;  // in training
  Matrix gradient_;          // in training where rows are split
};

/// Where a region ends whose weights are split by rows: Megatron's g, forward an all-reduce and backward the
/// identity; where rows are split, forward a reduce-scatter and backward an all-gather.
class RegionExit {
 public:
  explicit RegionExit(const LayerContext& context);

  /// Computes this rank's share of rows and columns `piece` of Y into `target`.
  using Project = std::function<void(const OutputPiece& piece, const MatrixView& target)>;

  /// Has this rank's share of Y [T, h] computed and sums the shares; returns the rows of Y that this rank
  /// holds. Where the case overlaps, piece by piece: a piece is summed while the next one is computed.
  const MatrixView& run(const Project& project, Trace& trace);
  [[nodiscard]] const MatrixView& output() const {
    return context_.shape.splits_rows() ? output_.view() : partial_.view();
  }
  /// The output gradient [T, h] on every rank. Its rows are gathered to where the shares of Y were, which
  /// backward needs no more.
  MatrixView gather_gradient(const MatrixView& local, Trace& trace) {
    return gather_rows(context_, local, partial_.view(), trace);
  }
  void poison(Direction direction);

 private:
  // Where a piece is computed and summed; `home` is its place in the output, which may be the same.
  struct Place {
    OutputPiece piece;
    MatrixView target, home;
  };

  void run_serially(const Project& project, bool communicates, Trace& trace);
  void run_in_pieces(const Project& project, bool communicates, Trace& trace);
  void bring_home(Trace& trace) const;

  LayerContext context_;
  Matrix partial_;
  Matrix output_;  // where rows are split
  std::vector<Matrix> columns_;
  std::vector<Place> places_;
  std::unique_ptr<BackgroundReducer> reducer_;
};

/// What stands between the two ends, on one rank: compute alone. X [T, h] is whole; Y [T, h] and the input
/// gradient are this rank's shares of sums over the ranks.
class RegionPart {
 public:
  virtual ~RegionPart() = default;
  virtual void fill(Heartbeat& heartbeat) = 0;
  /// All that comes before the row-parallel product.
  virtual void prepare(std::int64_t layer, const MatrixView& x) = 0;
  /// That product: this rank's share of rows and columns `piece` of Y, into `target`.
  virtual void project(std::int64_t layer, const OutputPiece& piece, const MatrixView& target) = 0;
  /// The share of the input gradient, and what gradients of weights need of the way to it.
  virtual void input_gradient(std::int64_t layer, const MatrixView& dy, const MatrixView& dx) = 0;
  /// After it, and of the same dy.
  virtual void weight_gradients(std::int64_t layer, const MatrixView& x, const MatrixView& dy) = 0;
  void backward(std::int64_t layer, const MatrixView& x, const MatrixView& dy, const MatrixView& dx) {
    input_gradient(layer, dy, dx);
    weight_gradients(layer, x, dy);
  }
  /// Sums gradients of weights that several ranks hold.
  virtual void sum_copied_gradients(std::int64_t /*layer*/, Trace& /*trace*/) {}
  virtual void poison(std::int64_t layer, Direction direction) = 0;
  /// The weight gradients.
  [[nodiscard]] virtual std::vector<Result> gradients(std::int64_t layer) const = 0;
};

}  // namespace tpbench
