#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/direction.hpp"
#include "workload/memory.hpp"
#include "workload/partition.hpp"
#include "workload/shape.hpp"
#include "workload/work.hpp"

namespace tpbench {

enum class CollectiveOp { all_reduce, all_gather, reduce_scatter };

/// Bus bandwidth over algorithm bandwidth on `ranks` ranks: 2(n-1)/n for an all-reduce, (n-1)/n for an
/// all-gather and a reduce-scatter (nccl-tests, doc/PERFORMANCE.md).
double bus_factor(CollectiveOp op, std::int64_t ranks);

/// The collectives of one kind and size in one step.
struct CollectiveCost {
  CollectiveOp op = CollectiveOp::all_reduce;
  std::int64_t bytes = 0;           ///< S of one call: the whole array, on whichever side it is whole
  std::int64_t calls_per_step = 0;  ///< 0 when the group has one rank
  Direction direction = Direction::forward;
  std::int64_t ranks = 0;  ///< that take part: tp_degree, or those that hold copies of one key/value head
};

/// What one step costs one rank, by formula. Tests compare each number with what was executed.
struct Cost {
  double flop_forward = 0;   ///< 2mnk per GEMM; what is not GEMM is not counted
  double flop_backward = 0;  ///< the same; 0 in a forward pass
  std::vector<Work> work;    ///< what it computes: the products' FLOP are the two sums above
  std::vector<CollectiveCost> collectives;
  MemoryByCategory memory;
  MemoryByCategory unmultiplied;      ///< of `memory`, weights that are no factor of a product
  std::int64_t reduction_length = 1;  ///< additions behind one element of the last result, over all GEMMs
  std::int64_t chained_layers = 1;  ///< weight sets of which each goes on with the results of the one before

  [[nodiscard]] double flop() const { return flop_forward + flop_backward; }
  [[nodiscard]] std::int64_t bytes_per_step() const;
};

/// The fields of a case that only some workloads look at.
struct UsedFields {
  bool products = false;  ///< library, weight_layout: it multiplies matrices
  bool num_layers = false;
  bool ffn_hidden_size = false;
  bool num_heads = false;  ///< and num_kv_heads, context_length
  bool activation = false;
  bool norm = false;
  bool combine = false;
  bool algorithm = false;
  bool overlap = false;  ///< overlap_chunks: ends in a row-parallel output
  bool stages = false;   ///< pp_degree, microbatches: its weight sets can be stages of a pipeline
  bool vocabulary = false;
  bool logits = false;       ///< in a forward pass
  bool whole_model = false;  ///< tie_embeddings, scaled_from_layers
};

/// Only a layer has a backward pass and rows to split; a probe of the fabric has no work that more ranks
/// would share.
enum class WorkloadKind { layer, compute_probe, fabric_probe };

/// One row of the catalog: everything about a workload that needs no machine.
struct Workload {
  std::string_view name;
  std::string_view summary;
  WorkloadKind kind;
  UsedFields uses;
  std::vector<SplitDimension> (*split)(const Shape&);
  Cost (*cost)(const Shape&);
};

/// All workloads of this build, in the order in which they are listed to people.
std::span<const Workload* const> all_workloads();

/// The workload of that name, or nullptr.
const Workload* find_workload(std::string_view name);

/// False also for a name that is none of this build's.
bool probes_fabric(std::string_view workload);

/// Why this shape makes no sense for the workload at any degree; empty when it does.
/// "hidden_size 100 is not divisible by num_heads 3"
std::optional<std::string> why_impossible(const Workload& workload, const Shape& shape);

/// Why this workload cannot be split by the shape's tp_degree, or its layers over its stages, with the
/// nearest that would do.
std::optional<std::string> why_not_divisible(const Workload& workload, const Shape& shape);

extern const Workload gemm_workload;
extern const Workload all_reduce_workload;
extern const Workload all_gather_workload;
extern const Workload reduce_scatter_workload;
extern const Workload column_linear_workload;
extern const Workload row_linear_workload;
extern const Workload mlp_workload;
extern const Workload attention_workload;
extern const Workload block_workload;
extern const Workload embedding_workload;
extern const Workload lm_head_workload;
extern const Workload model_workload;

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::CollectiveOp, {tpbench::CollectiveOp::all_reduce, "all_reduce"},
                   {tpbench::CollectiveOp::all_gather, "all_gather"},
                   {tpbench::CollectiveOp::reduce_scatter, "reduce_scatter"});
