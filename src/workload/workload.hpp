#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "workload/memory.hpp"
#include "workload/partition.hpp"
#include "workload/shape.hpp"

namespace tpbench {

enum class CollectiveOp { all_reduce, all_gather, reduce_scatter };

/// Bus bandwidth over algorithm bandwidth on `ranks` ranks: 2(n-1)/n for an all-reduce, (n-1)/n for an
/// all-gather and a reduce-scatter (nccl-tests, doc/PERFORMANCE.md).
double bus_factor(CollectiveOp op, std::int64_t ranks);

/// The collectives of one kind in one step.
struct CollectiveCost {
  CollectiveOp op = CollectiveOp::all_reduce;
  std::int64_t bytes = 0;           ///< S of one call: the whole array, on whichever side it is whole
  std::int64_t calls_per_step = 0;  ///< 0 when the group has one rank
};

/// What one step costs one rank, by formula. Tests compare each number with what was executed.
struct Cost {
  double flop = 0;  ///< 2mnk per GEMM; what is not GEMM is not counted
  std::vector<CollectiveCost> collectives;
  MemoryByCategory memory;
  std::int64_t reduction_length = 1;  ///< additions behind one output element over all GEMMs in a row

  [[nodiscard]] std::int64_t bytes_per_step() const;
};

/// The fields of a case that only some workloads look at.
struct UsedFields {
  bool num_layers = false;
  bool ffn_hidden_size = false;
  bool num_heads = false;
  bool activation = false;
  bool combine = false;
  bool algorithm = false;
};

/// One row of the catalog: everything about a workload that needs no machine.
struct Workload {
  std::string_view name;
  std::string_view summary;
  UsedFields uses;
  SplitDimension (*split)(const Shape&);
  Cost (*cost)(const Shape&);
};

/// All workloads of this build, in the order in which they are listed to people.
std::span<const Workload* const> all_workloads();

/// The workload of that name, or nullptr.
const Workload* find_workload(std::string_view name);

extern const Workload gemm_workload;
extern const Workload all_reduce_workload;
extern const Workload all_gather_workload;
extern const Workload reduce_scatter_workload;
extern const Workload column_linear_workload;
extern const Workload row_linear_workload;
extern const Workload mlp_workload;

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::CollectiveOp, {tpbench::CollectiveOp::all_reduce, "all_reduce"},
                   {tpbench::CollectiveOp::all_gather, "all_gather"},
                   {tpbench::CollectiveOp::reduce_scatter, "reduce_scatter"});
