#pragma once

#include <array>
#include <memory>
#include <vector>

#include "layers/region.hpp"

namespace tpbench {

/// The weight sets of `block` that a rank holds: norm, attention, residual, norm, mlp, residual. Where an
/// input comes from and where the gradient of an output does is the affair of what owns them.
class BlockSets {
 public:
  explicit BlockSets(const LayerContext& context);

  void fill(Heartbeat& heartbeat);

  /// x [T or T/t, h] through weight set `layer`, into `output`, which may be x in a forward pass.
  void forward(std::int64_t layer, const MatrixView& x, const MatrixView& output, Trace& trace);
  /// Where the output of a weight set is kept, if nowhere else.
  [[nodiscard]] const MatrixView& kept_output(std::int64_t layer) const { return stream(layer, kMlp); }
  /// From the x of its forward. `gradient` is that of the output, and becomes that of x.
  void backward(std::int64_t layer, const MatrixView& x, const MatrixView& gradient, Trace& trace);
  /// The same in two: what the stage before waits for,
  void input_gradient(std::int64_t layer, const MatrixView& x, const MatrixView& gradient, Trace& trace);
  /// and what nobody waits for.
  void weight_gradients(std::int64_t layer, Trace& trace);
  /// Sums over the ranks what each has of one gradient: after the last microbatch.
  void sum_gradients(std::int64_t layer, Trace& trace);

  void poison(std::int64_t layer, Direction direction);
  /// The gradients of weights: of norms, then those of the parts.
  [[nodiscard]] std::vector<Result> gradients(std::int64_t layer) const;

 private:
  // The two halves of a layer: what stands between a norm and a residual sum.
  static constexpr std::size_t kAttention = 0, kMlp = 1, kHalves = 2;

  static std::size_t index(std::int64_t layer) { return static_cast<std::size_t>(layer); }
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] Matrix make_rows(Category category) const;
  void norm_backward(std::int64_t layer, std::size_t half, const MatrixView& x, const MatrixView& dnormed,
                     const MatrixView& gradient);

  // What comes out of a half. Without backward all halves work in one place, or in one of a few.
  [[nodiscard]] const MatrixView& stream(std::int64_t layer, std::size_t half) const;
  [[nodiscard]] const MatrixView& normed(std::int64_t layer, std::size_t half) const {
    return normed_[shape().trains() ? context_.inputs_at(layer) * kHalves + half : 0].view();
  }
  [[nodiscard]] const MatrixView& kept_gradient(std::int64_t layer, std::size_t half) const {
    return output_gradients_[context_.gradients_at(layer) * kHalves + half].view();
  }
  [[nodiscard]] MatrixView norm_of(const std::vector<Matrix>& norms, std::int64_t layer,
                                   std::size_t half) const;

  LayerContext context_;
  RegionEntry entry_;
  RegionExit exit_;
  std::array<std::unique_ptr<RegionPart>, kHalves> parts_;
  std::vector<Matrix> stream_;
  std::vector<Matrix> normed_;
  std::vector<Matrix> norms_;  // per layer: gain (and shift) of one half after the other
  std::vector<Matrix> norm_gradients_;
  Matrix norm_gradient_;  // of one half and one microbatch, where there are several
  std::vector<Matrix>
      output_gradients_;  // where gradients of weights come later: of each half, on every rank
};

}  // namespace tpbench
