#pragma once

#include <memory>
#include <vector>

#include "layers/stage_messages.hpp"

namespace tpbench {

/// What stands before the first stage of a pipeline and behind the last, on the ranks that hold these. It
/// works on the microbatch that the context's StageRun says is under way.
class PipelineEnds {
 public:
  virtual ~PipelineEnds() = default;

  /// `input` [rows of the batch, h] is where x of the first stage will be; empty on other ranks.
  virtual void fill(const MatrixView& input, Heartbeat& heartbeat) = 0;
  /// First stage: leaves its input in `x` [T or T/t, h].
  virtual void make_input(const MatrixView& x, Trace& trace) = 0;
  /// Last stage: goes on with its output.
  virtual void take_output(const MatrixView& y, Trace& trace) = 0;
  /// Last stage: leaves the gradient of its output `y` in `gradient`.
  virtual void make_gradient(const MatrixView& y, const MatrixView& gradient, Trace& trace) = 0;
  /// First stage: goes on with the gradient of its input.
  virtual void take_gradient(const MatrixView& gradient, Trace& trace) = 0;
  /// Last stage, behind its last microbatch: sums over the ranks what each has of one gradient.
  virtual void sum_gradients(Trace& trace) = 0;
  /// Behind all microbatches: adds up what both ends have of one gradient. Where they are two ranks, `others`
  /// [V/t, h] is where the other's part comes, and the sum is left.
  virtual void join_gradients(const MatrixView& others, StageMessages& messages, Trace& trace) = 0;
  virtual void poison() = 0;

  /// Last stage: what stands behind the output of a microbatch in the results of the last weight set.
  [[nodiscard]] virtual std::vector<Result> outputs(std::int64_t microbatch) const = 0;
  /// Last stage, and first: what stands behind the gradients of the last weight set, and of the first.
  [[nodiscard]] virtual std::vector<Result> last_gradients() const = 0;
  [[nodiscard]] virtual std::vector<Result> first_gradients() const = 0;
  /// Last stage, where the first is another rank's: what both have of the gradients of the first weight set.
  [[nodiscard]] virtual std::vector<Result> joined_gradients() const = 0;
  [[nodiscard]] virtual std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                                                  Heartbeat& heartbeat) const = 0;
  [[nodiscard]] virtual double reference_cost() const = 0;
};

/// `whole` is the context of the case, `stage` that of one microbatch on this rank.
using MakeEnds = std::unique_ptr<PipelineEnds>(const LayerContext& whole, const LayerContext& stage);
/// Generated values: of a `block`.
MakeEnds make_generated_ends;
/// Embedding, norm and head: of a `model`.
MakeEnds make_model_ends;

}  // namespace tpbench
