#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "comm/communicator.hpp"
#include "compute/backend.hpp"
#include "measure/heartbeat.hpp"
#include "measure/trace.hpp"
#include "workload/partition.hpp"
#include "workload/shape.hpp"

namespace tpbench {

/// What a layer is built from. The references outlive the layer.
struct LayerContext {
  Shape shape;
  std::uint64_t seed = 1;
  Backend& backend;
  Communicator& communicator;
};

/// The output that this rank holds after a forward step, and where it lies in the unsharded output.
struct OutputShard {
  MatrixView local;
  std::int64_t first_row = 0;
  std::int64_t first_column = 0;
};

/// Entries of an unsharded tensor in higher precision, row-major [rows, columns].
struct ReferenceTile {
  std::int64_t columns = 0;
  std::vector<long double> values;
};

/// Sums over the columns of a matrix with random signs, one per row: what they should be and what they are. A
/// wrong entry anywhere in a row shows, at the cost of one pass over the weights instead of a whole product
/// (Freivalds' check).
struct RowSums {
  std::vector<double> expected;
  std::vector<double> found;
  bool expected_is_partial = false;  ///< true: what is expected is the total over the ranks of the group
};

/// One workload on one rank: `num_layers` weight sets that share their inputs and outputs. Made by all ranks
/// of a group at the same time; the constructor allocates every tensor, so that a step allocates nothing.
class Layer {
 public:
  virtual ~Layer() = default;

  /// Writes weights and inputs; shows a sign of life after each.
  virtual void fill(Heartbeat& heartbeat) = 0;
  /// Runs weight set `layer` once: the work that is timed. Collective over the group.
  virtual void forward(std::int64_t layer, Trace& trace) = 0;
  /// Overwrites everything that `forward` must write, so that what it does not write shows.
  virtual void poison() = 0;
  /// Called once between verification and warm-up.
  virtual void settle() {}

  [[nodiscard]] virtual OutputShard output() const = 0;
  /// The naive unsharded result at the given rows (of the whole output) and columns, from the same weights
  /// and inputs, in double for f32 and in long double for f64.
  [[nodiscard]] virtual ReferenceTile reference(std::int64_t layer, std::span<const std::int64_t> rows,
                                                Range columns) const = 0;
  /// Multiply-adds that one row of the reference costs.
  [[nodiscard]] virtual double reference_cost_per_row() const = 0;
  /// While on, `forward` notes what `row_sums` needs of values that it overwrites. Never on while steps are
  /// timed.
  virtual void observe(bool /*on*/) {}
  /// Checks of every row of what `forward(layer)` has just computed; together they reach from the inputs to
  /// the output.
  [[nodiscard]] virtual std::vector<RowSums> row_sums(std::int64_t layer) const = 0;
};

/// One row of the table of layers: what runs the workload of that name.
struct LayerEntry {
  std::string_view workload;
  std::unique_ptr<Layer> (*make)(const LayerContext& context);
};

std::span<const LayerEntry> all_layers();
const LayerEntry* find_layer(std::string_view workload);

}  // namespace tpbench
