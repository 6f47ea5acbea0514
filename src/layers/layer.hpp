#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/point_to_point.hpp"
#include "compute/backend.hpp"
#include "layers/stage_run.hpp"
#include "measure/heartbeat.hpp"
#include "measure/trace.hpp"
#include "workload/partition.hpp"
#include "workload/shape.hpp"

namespace tpbench {

/// How a row-parallel output in pieces is made. `overlapped` is the real thing; the others tell what it is
/// worth, and leave sums unfinished.
enum class OverlapForm { overlapped, serial, compute_alone, chunked_compute_alone };

/// What a layer is built from. The references outlive the layer.
struct LayerContext {
  Shape shape;
  std::uint64_t seed = 1;
  Backend& backend;
  Communicator& communicator;
  /// A communicator over the ranks of the group that name the same colour, in the order of their ranks.
  /// Collective over the group.
  std::function<std::unique_ptr<Communicator>(int colour)> split;
  /// Read in each step of a layer that overlaps; null: always overlapped.
  const OverlapForm* form = nullptr;
  /// Makes messages between the ranks that hold the other stages of this rank's shard, in the order of the
  /// stages; collective over these.
  std::function<std::unique_ptr<PointToPoint>(const PointToPointNeeds& needs)> connect = {};
  std::int64_t pp_rank = 0;  ///< this rank among them
  /// Set by a layer that runs stages and read by its parts; null: weight sets are run one after the other.
  const StageRun* stage = nullptr;

  /// The ranks that share the layer, and this one's number among them: `communicator` is over those of
  /// shape.layout.tp.
  [[nodiscard]] std::int64_t degree() const { return shape.layout.tp; }
  [[nodiscard]] std::int64_t rank() const { return communicator.rank(); }
  [[nodiscard]] Range shard(std::int64_t extent) const { return shard_of(extent, degree(), rank()); }

  /// Of weight set `layer`, the places of what backward needs: see KeptSets.
  [[nodiscard]] std::size_t activations_at(std::int64_t layer) const {
    return place(layer, stage == nullptr ? 0 : stage->activations, shape.trains());
  }
  [[nodiscard]] std::size_t inputs_at(std::int64_t layer) const {
    return place(layer, stage == nullptr ? 0 : stage->inputs, shape.trains());
  }
  [[nodiscard]] std::size_t gradients_at(std::int64_t layer) const {
    return place(layer, stage == nullptr ? 0 : stage->gradients, shape.kept_sets().gradients > 0);
  }
  /// Of the microbatch that is under way, the place of its logits: see KeptSets.
  [[nodiscard]] std::size_t logits_at() const {
    return static_cast<std::size_t>(microbatch() % shape.kept_sets().logits);
  }
  [[nodiscard]] std::int64_t microbatch() const { return stage == nullptr ? 0 : stage->microbatch; }
  /// The weight set of the whole that this rank's weight set `layer` is.
  [[nodiscard]] std::int64_t whole_layer(std::int64_t layer) const {
    return stage == nullptr ? layer : stage->whole_layer(layer);
  }
  /// What a product does to a gradient of weights.
  [[nodiscard]] Store into_gradient() const {
    return stage != nullptr && stage->adds ? Store::add : Store::overwrite;
  }

  Matrix make_matrix(Category category, std::int64_t rows, std::int64_t columns) const {
    return backend.make_matrix(category, shape.dtype, rows, columns);
  }
  /// The same, in memory that the group's algorithm can work on without copying it first.
  Matrix make_shared_matrix(Category category, std::int64_t rows, std::int64_t columns) const {
    return communicator.make_matrix(backend.memory(), category, shape.dtype, rows, columns);
  }

 private:
  [[nodiscard]] std::size_t place(std::int64_t layer, std::int64_t of_microbatch, bool of_each) const {
    // What a step of a plan does not touch has no place in it: views of it are made and not used.
    if (!of_each || of_microbatch < 0) return 0;
    const std::int64_t at = stage == nullptr ? layer : of_microbatch * stage->layers + layer % stage->layers;
    return static_cast<std::size_t>(at);
  }
};

/// What a step has left on this rank, and where it lies in the unsharded tensor of that name.
struct Result {
  std::string_view name;
  MatrixView local;
  std::int64_t first_row = 0;
  std::int64_t first_column = 0;
  /// Local rows that are compared by samples, of a result that is not the output.
  std::vector<std::int64_t> sampled_rows = {};
};

/// The same of a whole step: which tensor of the reference it is.
struct StepResult {
  std::int64_t layer = 0;  ///< of the whole
  Direction direction = Direction::forward;
  std::size_t index = 0;  ///< among the results of that weight set
  Result result;
};

/// Entries of an unsharded tensor in higher precision, row-major [rows, columns].
struct ReferenceTile {
  std::int64_t columns = 0;
  std::vector<long double> values;
};

/// The naive unsharded layer, from the same weights and inputs: plain loops, no BLAS and no MPI, in long
/// double for f64 and in double for the others.
class Reference {
 public:
  virtual ~Reference() = default;
  /// Rows and columns of the whole tensor of which `results(layer, direction)[index]` is a part. Weight sets
  /// are asked for in the order in which a step runs them.
  virtual ReferenceTile tile(std::int64_t layer, Direction direction, std::size_t index,
                             std::span<const std::int64_t> rows, Range columns) = 0;
};

/// What a reference will be asked for.
struct ReferenceExtent {
  std::vector<std::int64_t> output_rows;  ///< of the whole output, sorted
  bool gradients = false;                 ///< the results of backward too; then output_rows are all rows
};

/// One workload on one rank, with `num_layers` weight sets. Made by all ranks of a group at the same time;
/// the constructor allocates every tensor, so that a step allocates nothing.
class Layer {
 public:
  virtual ~Layer() = default;

  /// Writes weights and inputs; shows a sign of life after each.
  virtual void fill(Heartbeat& heartbeat) = 0;
  /// Runs one step: the work that is timed.
  virtual void run_step(Trace& trace) = 0;
  /// Called once between verification and warm-up.
  virtual void settle() {}

  [[nodiscard]] virtual std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                                                  Heartbeat& heartbeat) const = 0;
  /// Multiply-adds that the reference of all results of all weight sets costs this rank.
  [[nodiscard]] virtual double reference_cost() const = 0;
  /// Up to `limit` local rows of an output whose reference is cheap to have alone: of every weight set, or of
  /// every part of a batch, the same ones. Sorted.
  [[nodiscard]] virtual std::vector<std::int64_t> cheap_rows(std::int64_t limit,
                                                             std::uint64_t seed) const = 0;
};

/// Weight sets that run one after the other, each of which can be run and looked at by itself. A step runs
/// `forward` of each, and in training then `backward` of each, the last one first. Every call is collective
/// over the group.
class SetLayer : public Layer {
 public:
  void run_step(Trace& trace) final;
  /// Runs weight set `layer`.
  virtual void forward(std::int64_t layer, Trace& trace) = 0;
  /// Gradients of weight set `layer`, from what `forward` has kept. Workloads that are not trained have none.
  virtual void backward(std::int64_t layer, Trace& trace);
  /// Overwrites everything that this half of `layer` must write, so that what it does not write shows.
  virtual void poison(std::int64_t layer, Direction direction) = 0;
  /// What `forward(layer)` or `backward(layer)` has just left. The first of forward is the output.
  [[nodiscard]] virtual std::vector<Result> results(std::int64_t layer, Direction direction) const = 0;
  [[nodiscard]] std::vector<std::int64_t> cheap_rows(std::int64_t limit, std::uint64_t seed) const override;

 protected:
  explicit SetLayer(const Shape& shape) : num_layers_(shape.num_layers), trains_(shape.trains()) {}

 private:
  std::int64_t num_layers_;
  bool trains_;
};

/// Parts of a batch that a step runs in an order of its own, so that only a whole step can be looked at.
/// Ranks need not do the same at the same time.
class StagedLayer : public Layer {
 public:
  /// Overwrites everything that a step must write.
  virtual void poison() = 0;
  /// What a step has left on this rank, in the order in which the reference makes it.
  [[nodiscard]] virtual std::vector<StepResult> results() const = 0;
};

/// A seeded choice of `limit` of `rows` rows with the first and the last among them, or all. Sorted.
std::vector<std::int64_t> choose_rows(std::int64_t rows, std::int64_t limit, std::uint64_t seed);

/// One row of the table of layers: what runs the workload of that name.
struct LayerEntry {
  std::string_view workload;
  std::unique_ptr<Layer> (*make)(const LayerContext& context);
  /// The same where the batch goes through in microbatches; null: it has no stages.
  std::unique_ptr<Layer> (*make_piped)(const LayerContext& context) = nullptr;
};

std::span<const LayerEntry> all_layers();
/// The layer of that workload, with microbatches where the shape has some. Throws CaseError without one.
std::unique_ptr<Layer> make_layer(std::string_view workload, const LayerContext& context);
const LayerEntry* find_layer(std::string_view workload);

}  // namespace tpbench
